// Peers that ship no types; the adapters use few of their functions, and the read-back check tests how.
declare module 'async-append-only-log'
declare module 'better-sqlite3'
declare module 'hypercore'
