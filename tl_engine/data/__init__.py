"""Images: where they come from, how they are split, decoded, corrupted and compared.

`registry` finds a dataset by its name, built in or imported; `sources` reads its arrays. Modules
here may import the core nouns, the catalog and storage; Keras downloads in `learning.run_data`.
"""
