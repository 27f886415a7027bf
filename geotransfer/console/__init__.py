"""Streamlit pages and map specs: read views, submit commands."""
