"""The search index in Elasticsearch: a projection of the lake that may lag behind it, never lead, and can be rebuilt from it.

`mapping` says what an index looks like, `documents` makes what is in it, `sync` keeps it in step, `verify` compares it,
`rebuild` makes a new one beside it, `ask` searches it.
"""
