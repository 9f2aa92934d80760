"""Who does the work, and when: starting processes, what they do, how long that takes.

`launcher` says what a launcher is and gives the configured one; another kind than the one for this
machine is a module of its own. `worker` drains a store's queue and trains its runs, `evaluation`
evaluates finished ones, `cost` estimates and measures how long that takes, `predictor` classifies
pictures, `kill_test` kills all of this at random.

Modules here may import `runs`, `storage`, `data`, `catalog`, `analysis` and the core nouns;
`learning`, which loads TensorFlow, only inside functions that run in a process of their own.
"""
