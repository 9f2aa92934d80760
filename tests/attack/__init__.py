"""An attack on everything that reads a store, written without a look at the other tests' helpers.

store.py      builds the store that is attacked
mutations.py  what is done to it: any byte of any file, any kind of file, foreign names
surveyor.py   the process that looks: one page or one command for each line it is given
survey.py     every page and every command after a mutation
oracle.py     what none of them may do: a traceback, a hang, a wrong number, a hidden run
__main__.py   `python -m tests.attack --cases 2000 --seed 1`
"""
