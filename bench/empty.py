"""An empty Streamlit page: what any page costs before it shows anything."""

import streamlit as st

st.write("empty")
