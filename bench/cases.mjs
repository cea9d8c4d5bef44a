// @ts-check
// The cases: pure data. Their numbers are those of the performance targets in docs/PERFORMANCE.md. Every row is one
// contender; rows of a case run alternately in one run, so that only figures of one table are compared.

/**
 * @typedef {object} Row
 * @property {string} key unique within the case; targets name it
 * @property {string} peer a name in peers/contract.mjs, `none`, or a Go peer
 * @property {string} how the call that is measured, for the reader
 * @property {boolean} [go] runs in bench/go
 * @property {string} [body] another body than the case's
 * @property {Record<string, unknown>} [settings] handed to the peer
 * @property {Record<string, unknown>} [params] handed to the body, over those of the case
 * @property {boolean} [reference] does something else than the case's title says, for the others to be compared with
 */

/**
 * `ratio`: figure of `row` divided by that of `against` (`best` is the best of the other peers).
 * `figure`: the named figure of `row` itself.
 * @typedef {object} Target
 * @property {string} row
 * @property {string} [against]
 * @property {string} [figure]
 * @property {boolean} [less] the figure of `against` is subtracted rather than divided by
 * @property {number} [atLeast]
 * @property {number} [atMost]
 */

/**
 * @typedef {object} Case
 * @property {string} id
 * @property {string} title
 * @property {string} body
 * @property {string} figure the name of the figure that is charted
 * @property {string} unit
 * @property {'higher' | 'lower'} better
 * @property {number} [payloadBytes] 256 unless told
 * @property {{ seconds: number, maxCount?: number }} budget
 * @property {{ seconds: number, maxCount?: number }} quick
 * @property {Record<string, unknown>} [params]
 * @property {Record<string, unknown>} [quickParams]
 * @property {'fill' | 'crash'} [fixture] the log that exists before the body runs; `crash` is copied for every run
 * @property {'loop-ext4'} [on] where the directory lies, if not beside the checkout
 * @property {readonly string[]} [alsoShow] further figures for the table
 * @property {Row[]} rows
 * @property {Target[]} targets
 */

/** @param {string} key @param {string} peer @param {string} how @param {Partial<Row>} [more] @returns {Row} */
const row = (key, peer, how, more) => ({ key, peer, how, ...more })
/** @param {string} key @param {string} peer @param {string} how @param {Partial<Row>} [more] @returns {Row} */
const goRow = (key, peer, how, more) => ({ key, peer, how, go: true, ...more })

const UNSYNCED = { noSync: true, noCopy: true }
const RATE = { figure: 'perSecond', unit: 'entries/s', better: /** @type {const} */ ('higher') }
const LATENCY = { figure: 'p50', unit: 'µs', better: /** @type {const} */ ('lower') }
const MILLION = { params: { entries: 1_000_000 }, quickParams: { entries: 200_000 } }
const SHORT = { budget: { seconds: 2 }, quick: { seconds: 0.5 } }

/** @param {string} size @param {number} payloadBytes @returns {Case} */
const largeEntries = (size, payloadBytes) => ({
  id: `T2-${size}`,
  title: `Durable, one acknowledgement for many, entries of ${size}`,
  body: 'submit',
  payloadBytes,
  figure: 'mbPerSecond',
  unit: 'MB/s',
  better: 'higher',
  budget: { seconds: 2 },
  quick: { seconds: 0.5 },
  rows: [
    row('walrus', 'walrus', 'submit'),
    row('lmdb', 'lmdb', 'put, last promise awaited'),
    row('raw', 'raw', '1 MiB direct writes, no log', { settings: { direct: true } }),
  ],
  targets: [{ row: 'walrus', against: 'raw', atLeast: 0.75 }],
})

/** Peers that targets name and that could not be had, with the reason. @type {Record<string, string>} */
export const NOT_HAD = {
  'go-walrus': 'the Go module proxy does not serve the Go Walrus; set GO_WALRUS to a checkout',
}

/** @type {Case[]} */
export const CASES = [
  {
    id: 'T1',
    title: 'A promise per append, many outstanding',
    body: 'openLoop',
    ...RATE,
    budget: { seconds: 4, maxCount: 6_000_000 },
    quick: { seconds: 1, maxCount: 200_000 },
    rows: [
      row('walrus', 'walrus', 'append'),
      row('lmdb', 'lmdb', 'put'),
      row('level', 'level', 'put, sync'),
      row('hypercore', 'hypercore', 'append'),
      row('aaol', 'aaol', 'append'),
      goRow('tidwall', 'tidwall', 'Write, NoSync, one goroutine', { settings: UNSYNCED }),
      goRow('go-walrus', 'go-walrus', 'Append, no sync, one goroutine', { settings: { noSync: true } }),
    ],
    targets: [
      { row: 'walrus', against: 'lmdb', atLeast: 2 },
      { row: 'walrus', against: 'go-walrus', atLeast: 2.5 },
    ],
  },
  {
    id: 'T2',
    title: 'Durable, one acknowledgement for many',
    body: 'submit',
    ...RATE,
    budget: { seconds: 4, maxCount: 6_000_000 },
    quick: { seconds: 1, maxCount: 200_000 },
    rows: [
      row('walrus', 'walrus', 'submit'),
      row('lmdb', 'lmdb', 'put, last promise awaited'),
      row('raw', 'raw', '1 MiB direct writes, no log', { settings: { direct: true } }),
    ],
    targets: [{ row: 'walrus', against: 'lmdb', atLeast: 2.5 }],
  },
  largeEntries('1KiB', 1024),
  largeEntries('64KiB', 65536),
  largeEntries('1MiB', 1048576),
  {
    id: 'T3',
    title: '100 writers, each waiting for its append',
    body: 'concurrent',
    ...RATE,
    ...SHORT,
    params: { writers: 100 },
    alsoShow: ['p50', 'p99'],
    rows: [
      row('walrus', 'walrus', 'append'),
      row('lmdb', 'lmdb', 'put'),
      row('sqlite', 'sqlite', 'insert, a transaction each'),
      row('level', 'level', 'put, sync'),
      row('raw', 'raw', 'write + fdatasync each'),
      row('hypercore', 'hypercore', 'append'),
      goRow('tidwall', 'tidwall', 'Write'),
      goRow('raft-wal', 'raft-wal', 'StoreLog'),
      goRow('go-walrus', 'go-walrus', 'Append'),
    ],
    targets: [
      { row: 'walrus', against: 'tidwall', atLeast: 70 },
      { row: 'walrus', against: 'go-walrus', atLeast: 70 },
      { row: 'walrus', against: 'lmdb', atLeast: 3 },
    ],
  },
  {
    id: 'T4',
    title: 'One append at a time, median latency',
    body: 'concurrent',
    ...LATENCY,
    ...SHORT,
    params: { writers: 1 },
    alsoShow: ['p99'],
    rows: [
      row('walrus', 'walrus', 'append'),
      row('lmdb', 'lmdb', 'put'),
      row('sqlite', 'sqlite', 'insert, a transaction each'),
      row('level', 'level', 'put, sync'),
      row('raw', 'raw', 'write + fdatasync'),
      row('hypercore', 'hypercore', 'append'),
      goRow('tidwall', 'tidwall', 'Write'),
      goRow('raft-wal', 'raft-wal', 'StoreLog'),
      goRow('go-walrus', 'go-walrus', 'Append'),
    ],
    targets: [
      { row: 'walrus', against: 'go-walrus', atMost: 0.7 },
      { row: 'walrus', against: 'sqlite', atMost: 0.8 },
    ],
  },
  {
    id: 'T5',
    title: 'Batches of 1,000, one after the other',
    body: 'batches',
    ...RATE,
    budget: { seconds: 2, maxCount: 4_000_000 },
    quick: { seconds: 0.5 },
    params: { batch: 1000 },
    rows: [
      row('walrus', 'walrus', 'appendBatch'),
      row('walrus 4', 'walrus', 'appendBatch, 4 in flight', { params: { inFlight: 4 } }),
      row('lmdb', 'lmdb', 'transactionSync'),
      row('sqlite', 'sqlite', 'a transaction per batch'),
      row('level', 'level', 'batch, sync'),
      row('raw', 'raw', 'one write + fdatasync, no log'),
      row('hypercore', 'hypercore', 'append'),
      goRow('tidwall', 'tidwall', 'WriteBatch'),
      goRow('raft-wal', 'raft-wal', 'StoreLogs'),
      goRow('go-walrus', 'go-walrus', 'WriteBatch'),
    ],
    targets: [{ row: 'walrus', against: 'best', atLeast: 2.5 }],
  },
  {
    id: 'T6',
    title: 'One append at a time on a loop-mounted, journaled ext4',
    body: 'concurrent',
    on: 'loop-ext4',
    ...LATENCY,
    ...SHORT,
    params: { writers: 1 },
    rows: [
      row('walrus', 'walrus', 'append'),
      row('raw extending', 'raw', 'write + fdatasync, extending'),
      row('raw prepared', 'raw', 'write + fdatasync, zero-filled', {
        settings: { preparedBytes: 33554432 },
        params: { unchecked: true },
      }),
      row('sqlite', 'sqlite', 'insert, a transaction each'),
    ],
    targets: [{ row: 'walrus', against: 'raw extending', atMost: 0.5 }],
  },
  {
    id: 'T7',
    title: 'Median latency with the libuv pool busy, divided by that when idle',
    body: 'busyPool',
    figure: 'ratio',
    unit: '×',
    better: 'lower',
    budget: { seconds: 1.5 },
    quick: { seconds: 0.4 },
    alsoShow: ['idleP50', 'busyP50'],
    rows: [
      row('walrus thread', 'walrus', 'append, writerThread', { settings: { options: { writerThread: true } } }),
      row('walrus', 'walrus', 'append'),
      row('lmdb', 'lmdb', 'put'),
      row('sqlite', 'sqlite', 'insert (blocks the event loop)'),
      row('level', 'level', 'put, sync'),
      row('raw', 'raw', 'write + fdatasync'),
    ],
    targets: [{ row: 'walrus thread', figure: 'ratio', atMost: 2 }],
  },
  {
    id: 'T8',
    title: 'pipeline(source, sink)',
    body: 'pipe',
    ...RATE,
    budget: { seconds: 4, maxCount: 6_000_000 },
    quick: { seconds: 1, maxCount: 200_000 },
    rows: [
      row('walrus', 'walrus', 'wal.writable()'),
      row('walrus submit', 'walrus', 'submit in a loop, no stream', { body: 'submit', reference: true }),
      row('lmdb', 'lmdb', 'Writable, a transaction per writev'),
      row('sqlite', 'sqlite', 'Writable, a transaction per writev'),
      row('level', 'level', 'Writable, a batch per writev'),
      row('aaol', 'aaol', 'Writable, an append per writev'),
      row('raw', 'raw', 'createWriteStream, no log', { settings: { stream: true } }),
    ],
    targets: [{ row: 'walrus', against: 'walrus submit', atLeast: 0.85 }],
  },
  {
    id: 'T9',
    title: 'Replay from the start, warm cache',
    body: 'replay',
    fixture: 'fill',
    ...RATE,
    ...SHORT,
    ...MILLION,
    rows: [
      row('walrus chunks', 'walrus', 'replay().chunks(), verified', { params: { way: 'scanChunks' } }),
      row('walrus entries', 'walrus', 'for await of replay(), verified', { params: { way: 'scan' } }),
      row('lmdb', 'lmdb', 'getRange', { params: { way: 'scan' } }),
      row('sqlite', 'sqlite', 'iterate', { params: { way: 'scan' } }),
      row('level', 'level', 'nextv(1000)', { params: { way: 'scan' } }),
      row('aaol', 'aaol', 'stream', { params: { way: 'scan' } }),
      row('hypercore', 'hypercore', 'createReadStream', { params: { way: 'scan', limit: 10_000 } }),
      row('raw', 'raw', '1 MiB reads, nothing checked', { params: { way: 'scan' } }),
      goRow('tidwall', 'tidwall', 'Read, nothing checked'),
      goRow('tidwall view', 'tidwall', 'Read, NoCopy, nothing checked', { settings: { noCopy: true } }),
      goRow('raft-wal', 'raft-wal', 'GetLog'),
      goRow('go-walrus', 'go-walrus', 'GetRange of 1,000'),
    ],
    targets: [
      { row: 'walrus chunks', against: 'tidwall', atLeast: 1.3 },
      { row: 'walrus chunks', against: 'lmdb', atLeast: 7 },
      { row: 'walrus entries', against: 'walrus chunks', atLeast: 0.8 },
    ],
  },
  {
    id: 'T10',
    title: 'Random get, warm cache',
    body: 'get',
    fixture: 'fill',
    ...RATE,
    ...SHORT,
    ...MILLION,
    rows: [
      row('walrus sync', 'walrus', 'getSync, verified', { params: { way: 'getSync' } }),
      row('walrus', 'walrus', 'get, verified', { params: { way: 'get' } }),
      row('lmdb', 'lmdb', 'get', { params: { way: 'getSync' } }),
      row('lmdb view', 'lmdb', 'getBinaryFast (no copy)', { params: { way: 'getView' } }),
      row('sqlite', 'sqlite', 'prepared select', { params: { way: 'getSync' } }),
      row('level', 'level', 'getSync', { params: { way: 'getSync' } }),
      row('aaol', 'aaol', 'get', { params: { way: 'get' }, settings: { needOffsets: true } }),
      row('hypercore', 'hypercore', 'get', { params: { way: 'get' } }),
      row('raw', 'raw', 'readSync, nothing checked', { params: { way: 'getSync' } }),
      goRow('tidwall', 'tidwall', 'Read, NoCopy, nothing checked', { settings: { noCopy: true } }),
      goRow('tidwall cached', 'tidwall', 'Read, NoCopy, whole log in memory', {
        settings: { noCopy: true, segmentCache: 64 },
      }),
      goRow('raft-wal', 'raft-wal', 'GetLog'),
      goRow('go-walrus', 'go-walrus', 'Get, zero copy', { settings: { zeroCopy: true } }),
    ],
    targets: [
      { row: 'walrus sync', against: 'lmdb', atLeast: 2 },
      { row: 'walrus sync', against: 'go-walrus', atLeast: 1 },
    ],
  },
  {
    id: 'T11',
    title: 'Append rate beside 16 live readers',
    body: 'tails',
    ...RATE,
    budget: { seconds: 3, maxCount: 500_000 },
    quick: { seconds: 1, maxCount: 100_000 },
    params: { tails: 16, by: 'append' },
    alsoShow: ['deliveredPerSecond'],
    rows: [
      row('walrus', 'walrus', 'append, 16 tails'),
      row('walrus 0', 'walrus', 'append, no reader', { params: { tails: 0 }, reference: true }),
      row('lmdb', 'lmdb', 'put, 16 readers by getRange'),
      row('lmdb 0', 'lmdb', 'put, no reader', { params: { tails: 0 }, reference: true }),
      row('sqlite', 'sqlite', 'batches of 1,024, 16 readers by select', { params: { by: 'batch' } }),
      row('level', 'level', 'batches of 1,024, 16 readers by iterator', { params: { by: 'batch' } }),
      row('raw', 'raw', 'batches of 1,024, 16 readers by readSync', { params: { by: 'batch' } }),
    ],
    targets: [{ row: 'walrus', against: 'walrus 0', atLeast: 0.75 }],
  },
  {
    id: 'T11-delivery',
    title: 'Delivery to 16 live readers after the acknowledgement, median',
    body: 'delivery',
    ...LATENCY,
    budget: { seconds: 1.5 },
    quick: { seconds: 0.5 },
    params: { tails: 16 },
    alsoShow: ['p99'],
    rows: [
      row('walrus', 'walrus', '16 tails'),
      row('lmdb', 'lmdb', '16 readers by getRange'),
      row('sqlite', 'sqlite', '16 readers by select'),
      row('level', 'level', '16 readers by iterator'),
      row('raw', 'raw', '16 readers by readSync'),
    ],
    targets: [{ row: 'walrus', figure: 'p50', atMost: 50 }],
  },
  {
    id: 'T11-fanout',
    title: 'Entries delivered to 256 live readers, all together',
    body: 'tails',
    figure: 'deliveredPerSecond',
    unit: 'entries/s',
    better: 'higher',
    budget: { seconds: 3, maxCount: 500_000 },
    quick: { seconds: 1, maxCount: 100_000 },
    params: { tails: 256, by: 'append' },
    rows: [row('walrus', 'walrus', '256 tails'), row('lmdb', 'lmdb', '256 readers by getRange')],
    targets: [{ row: 'walrus', figure: 'deliveredPerSecond', atLeast: 40_000_000 }],
  },
  {
    id: 'T12',
    title: 'Opening a log of a million entries after the writer was killed',
    body: 'reopen',
    fixture: 'crash',
    figure: 'openMs',
    unit: 'ms',
    better: 'lower',
    budget: { seconds: 60 },
    quick: { seconds: 60 },
    ...MILLION,
    rows: [
      row('walrus', 'walrus', 'openWal'),
      row('lmdb', 'lmdb', 'open'),
      row('sqlite', 'sqlite', 'open, WAL replayed'),
      row('level', 'level', 'open, log replayed'),
      goRow('tidwall', 'tidwall', 'Open, nothing checked'),
      goRow('raft-wal', 'raft-wal', 'Open'),
      goRow('go-walrus', 'go-walrus', 'Open, stops at the first bad entry'),
    ],
    targets: [{ row: 'walrus', against: 'go-walrus', atMost: 1 / 80 }],
  },
  {
    id: 'T12-segments',
    title: 'Opening a cleanly closed log of 1,000 sealed segments',
    body: 'reopen',
    fixture: 'fill',
    figure: 'openMs',
    unit: 'ms',
    better: 'lower',
    budget: { seconds: 60 },
    quick: { seconds: 60 },
    params: { entries: 1_000_000, entriesPerSegment: 1000 },
    rows: [row('walrus', 'walrus', 'openWal')],
    targets: [{ row: 'walrus', figure: 'openMs', atMost: 5 }],
  },
  {
    id: 'T13',
    title: 'Peak memory: 1 GiB piped in and read back',
    body: 'memoryUnderLoad',
    figure: 'peakMb',
    unit: 'MB',
    better: 'lower',
    budget: { seconds: 60, maxCount: 4_194_304 },
    quick: { seconds: 30, maxCount: 524_288 },
    params: { tails: 100 },
    alsoShow: ['count', 'afterWritingMb', 'afterReadingMb'],
    rows: [
      row('walrus', 'walrus', 'writable, replay, 100 tails'),
      row('lmdb', 'lmdb', 'put, getRange (maps its file)'),
      row('sqlite', 'sqlite', 'insert, iterate'),
      row('level', 'level', 'batch, nextv'),
      row('raw', 'raw', 'createWriteStream, read', { settings: { stream: true } }),
    ],
    targets: [{ row: 'walrus', figure: 'peakMb', atMost: 150 }],
  },
  {
    id: 'T13-empty',
    title: 'Memory of a process with an empty open log',
    body: 'memoryWhenEmpty',
    figure: 'rssMb',
    unit: 'MB',
    better: 'lower',
    budget: { seconds: 1 },
    quick: { seconds: 1 },
    rows: [
      row('none', 'none', 'bare Node'),
      row('walrus', 'walrus', 'openWal'),
      row('lmdb', 'lmdb', 'open'),
      row('level', 'level', 'open'),
    ],
    targets: [{ row: 'walrus', figure: 'rssMb', against: 'none', less: true, atMost: 10 }],
  },
]
