"""What runs allow one to say, composed once: verdicts with their evidence, and Sections.

A page, a command and a report draw what is composed here. It may import charts, analysis, runs,
storage, data, catalog and the core nouns; never Streamlit, `ui` or `learning`.
"""
