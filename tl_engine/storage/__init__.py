"""Bytes on a disk: written whole or not at all, checked when they are read, locked, cached.

`atomic` writes, `reading` reads files, `record_files` reads and writes JSON with checksums, `lease`
and `locks` tell who works on what, `cache` and `feature_cache` hold on disk what was computed once,
and `memory` holds in memory what was read. What a store's files are called and hold is not known
here: `runs` passes both in. These modules import one another and `tl_engine.errors`, nothing else
of the engine.
"""
