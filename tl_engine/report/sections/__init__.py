"""The Sections of Compare and Explain, a module per subject; `report.parts` lists them.

A function takes `Results` and what a reader may choose as keywords with defaults, and returns the
Sections in the order in which they are read. Modules here may import what `report` may.
"""
