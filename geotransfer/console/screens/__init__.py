"""One page a module; each has ``show``. A folder called pages Streamlit would take over."""
