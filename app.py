"""The console: Streamlit pages, and the routes that serve their rasters and vectors."""

import os

import streamlit as st

from geotransfer.console.ports import offer_pixel_reader, offer_plan_reader
from geotransfer.console.raster_catalog import WorkspaceCatalog
from geotransfer.console.server import PREFIX, make_config, make_region_routes
from geotransfer.settings import read_settings
from geotransfer.tiles.routes import make_routes
from geotransfer.wiring import RegionOutputs, read_pixel, read_plan

SETTINGS = read_settings(os.environ)
ROUTES = make_routes(WorkspaceCatalog(SETTINGS), files=RegionOutputs(SETTINGS), prefix=PREFIX)
offer_pixel_reader(read_pixel)
offer_plan_reader(read_plan)
app = st.App("geotransfer/console/main.py", routes=[*make_region_routes(), *ROUTES])
if __name__ == "__main__":
    app.run(config=make_config(SETTINGS))
