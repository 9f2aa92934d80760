"""Numbers in, numbers and sentences out: verdicts, budgets, calibration, what phases did.

Functions here take arrays, frames and values, and give the same for the same, whoever asks. They
may import the core nouns and the catalog; they read no file and draw nothing.
"""
