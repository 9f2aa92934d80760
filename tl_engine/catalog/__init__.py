"""What can be chosen: backbones, built-in datasets, presets and settings, as plain data and tables.

Entries are TOML files; a module beside each says what an entry holds and checks it. Modules here
may import the core nouns (`errors`, `recipe`, `study`) and load neither Keras nor an image.
"""
