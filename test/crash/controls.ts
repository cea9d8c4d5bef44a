/** A duty that the product or the disk no longer does, and where the checker has to notice. */
export interface Control {
  name: string
  /** In compiled files, relative to the build: exactly one place each. */
  edits: readonly { file: string; from: string; to: string }[]
  /** Arguments of the search. */
  look: readonly string[]
}

const crash = (...more: string[]) => ['--only', 'crash', '--states', '6000', ...more]
const fault = (...more: string[]) => ['--only', 'fault', '--stride', '1', ...more]
const damage = (...more: string[]) => ['--only', 'damage', '--stride', '1', ...more]

/**
 * The negative controls: a checker that finds nothing proves something only if it finds each of these. They are made in a copy of
 * the compiled code, so that no switch for them is in the product.
 */
export const CONTROLS: readonly Control[] = [
  {
    name: 'syncs of files do nothing',
    edits: [
      {
        file: 'src/file-system/simulated.js',
        from: 'ignoresSync: options.ignoreSync === true',
        to: 'ignoresSync: true',
      },
    ],
    look: crash(),
  },
  {
    name: 'syncs of directories do nothing',
    edits: [
      { file: 'src/file-system/simulated.js', from: 'if (!this.#options.ignoreDirectorySync)', to: 'if (!disk)' },
    ],
    look: crash(),
  },
  {
    name: 'the active segment is not synced',
    edits: [
      { file: 'src/segments/segment-writer.js', from: 'return this.#file.sync();', to: 'return Promise.resolve();' },
    ],
    look: crash('--policy', 'buffered'),
  },
  {
    name: 'appends are answered before the sync',
    edits: [
      {
        file: 'src/log/committer.js',
        from: 'ends = await this.#writeOrRotate(commits);',
        to: `ends = await this.#writeOrRotate(commits);
            this.#committedIndex = commits[0].lastIndex;
            this.#setDurable(commits[0].lastIndex);
            commits[0].resolve();`,
      },
    ],
    look: crash('--policy', 'buffered'),
  },
  {
    name: 'of commits that are written together the last is not',
    edits: [
      {
        file: 'src/segments/segment-store.js',
        from: 'await this.#writer.write(runs, before.offset);',
        to: 'await this.#writer.write(runs.slice(0, Math.max(1, runs.length - 1)), before.offset);',
      },
    ],
    look: crash(),
  },
  {
    name: 'zeros ahead begin in the last block of the content',
    edits: [
      {
        file: 'src/segments/zero-ahead.js',
        from: 'return writeAllFully(this.#file, pieces, this.#end);',
        to: 'return writeAllFully(this.#file, pieces, this.#end - 4096);',
      },
    ],
    look: crash(),
  },
  {
    name: 'no checksum over the length',
    edits: [
      {
        file: 'src/codec/kernel.js',
        from: 'export const kernel = instantiate();',
        to: 'export const kernel = undefined;',
      },
      { file: 'src/codec/binary.js', from: 'const ENTRY_CHECKED_FROM = 4;', to: 'const ENTRY_CHECKED_FROM = 8;' },
      {
        file: 'src/codec/binary.js',
        from: 'const from = position + ENTRY_CHECKED_FROM;',
        to: 'const from = position + ENTRY_CHECKED_FROM; dataEnd = (dataEnd + 7) & ~7;',
      },
      {
        file: 'src/codec/binary.js',
        from: 'state.bodyCrc = crc32(bytes, position, position + 8, state.bodyCrc);',
        to: 'state.bodyCrc = crc32(bytes, position, position + 4, state.bodyCrc);',
      },
      {
        file: 'src/codec/binary.js',
        from: 'crc = crc32(bytes, position, position + 8, crc);',
        to: 'crc = crc32(bytes, position, position + 4, crc);',
      },
    ],
    look: damage('--policy', 'buffered'),
  },
  {
    name: 'what is bad below the proven end is left out instead of refused',
    edits: [
      {
        file: 'src/segments/recovery.js',
        from: "{ when: { provenIsWhole: false }, decision: 'corrupt' }",
        to: "{ when: { provenIsWhole: false, hasCommits: true }, decision: 'succeed' }",
      },
    ],
    look: damage('--policy', 'always'),
  },
  {
    name: 'a sync that failed is tried again',
    edits: [
      {
        file: 'src/segments/segment-writer.js',
        from: 'return this.#file.sync();',
        to: 'return this.#file.sync().catch(() => this.#file.sync());',
      },
    ],
    look: fault('--policy', 'buffered'),
  },
  {
    name: 'a log that failed goes on',
    edits: [
      { file: 'src/log/committer.js', from: "this.#status = 'failed';", to: '' },
      { file: 'src/log/committer.js', from: 'this.#admission.lastIndex = this.durableIndex;', to: '' },
      { file: 'src/log/committer.js', from: 'this.#committedIndex = this.#durableIndex;', to: '' },
    ],
    look: fault('--policy', 'buffered'),
  },
  {
    name: 'recovery trusts the tail after a sync, without copying it',
    edits: [
      { file: 'src/segments/tail.js', from: 'if (end > provenEnd)', to: 'if (end < 0)' },
      {
        file: 'src/segments/opening.js',
        from: 'const mark = readMarkSync(fs, directory, opening.manifest.logId);',
        to: `await fs.open(newest.path, 'write').then(file => file.sync().finally(() => file.close()));
        const mark = readMarkSync(fs, directory, opening.manifest.logId);`,
      },
    ],
    look: crash('--policy', 'interval'),
  },
  {
    name: 'the content of a recovered segment is not synced before its name is',
    edits: [{ file: 'src/segments/publish.js', from: 'await file.sync();', to: '' }],
    look: crash('--policy', 'interval'),
  },
  {
    name: 'a last segment without a readable header is made anew',
    edits: [
      {
        file: 'src/segments/load.js',
        from: 'return catalog.segments.map(',
        to: `const isReadable = ({ name }) => {
        try {
            return readSegmentFile(fs, directory + '/' + name, format) !== undefined;
        }
        catch {
            return false;
        }
    };
    return catalog.segments.filter(isReadable).map(`,
      },
      { file: 'src/segments/chain.js', from: 'newest.id < manifest.newestId', to: 'newest.id < 0' },
    ],
    look: damage('--policy', 'always'),
  },
  {
    name: 'the mark is published before the sync',
    edits: [
      {
        file: 'src/segments/segment-store.js',
        from: "if (this.io === 'direct')",
        to: `const { offset, lastIndex: index } = end;
        void this.#parts.mark.update({ logId: this.logId, epoch: this.epoch, segmentId: this.active.id, offset, index }, true);
        if (this.io === 'direct')`,
      },
    ],
    look: crash('--policy', 'interval'),
  },
  {
    name: 'a batch is written as entries of their own',
    edits: [
      {
        file: 'src/log/admission.js',
        from: 'const commit = this.#room(bytes, payloads.length);',
        to: 'let commit = this.#room(bytes, payloads.length);',
      },
      {
        file: 'src/log/admission.js',
        from: 'this.#put(commit, payloads[i], terms[i], timestamps[i], i === last ? common | FLAG_ENDS_BATCH : common);',
        to: `if (i > 0) {
                this.cut();
                commit = this.#room(this.#format.entryBytes(payloads[i], common !== 0), 1);
            }
            this.#put(commit, payloads[i], terms[i], timestamps[i], common | FLAG_ENDS_BATCH);`,
      },
    ],
    look: crash('--policy', 'always', '--workload', 'batch'),
  },
  {
    name: 'a checkpoint is stored ahead of the log',
    edits: [{ file: 'src/consumers/checkpoint.js', from: 'await log.durable(position.index);', to: '' }],
    look: crash('--policy', 'never', '--workload', 'consume'),
  },
  {
    name: 'a sync is answered before the thread has made it',
    edits: [
      {
        file: 'src/file-system/writer-thread/thread-calls.js',
        from: "syncing.call('fdatasync', [fd], done)",
        to: "syncing.call('fdatasync', [fd], () => undefined) ?? done(null)",
      },
    ],
    look: crash('--policy', 'thread-buffered'),
  },
  {
    name: 'the memory shared with the thread is handed out twice',
    edits: [{ file: 'src/file-system/writer-thread/ring.js', from: 'this.#starts.push(start);', to: '' }],
    look: crash('--policy', 'thread-interval'),
  },
]
