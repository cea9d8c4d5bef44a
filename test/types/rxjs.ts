/** As contract.ts, for walrus-wal/rxjs: the signatures are those in the comment at the end of docs/walrus-wal.d.ts. */
import type { Observable, ObservableInput, OperatorFunction } from 'rxjs'
import type { Chunk, Entry, RunOptions, TailOptions, Wal, WalReader } from '../../docs/walrus-wal.js'
import type * as Ours from '../../src/rxjs.js'

/** Functions of the contract that are not built yet. One that is exported has to leave this list. */
type NotBuiltYet = never

interface Contract {
  observe<T>(wal: WalReader<T>, options?: TailOptions<T> & { live?: boolean }): Observable<Entry<T>>
  observe<T, R>(
    wal: WalReader<T>,
    options: TailOptions<T> & {
      live?: boolean
      project: (entry: Entry<T>) => ObservableInput<R>
      concurrency?: number
    },
  ): Observable<R>
  appendTo<T, In>(wal: Wal<T, In>): OperatorFunction<In, Entry<T>>
  projection<T>(
    wal: WalReader<T>,
    name: string,
    handler: (entries: Chunk<T>) => unknown,
    options?: RunOptions<T>,
  ): Observable<{ checkpointIndex: number; lagEntries: number }>
}

type Fits<Narrow extends Wide, Wide> = [Narrow, Wide]
type Missing = Exclude<keyof Contract, keyof typeof Ours>
type Built = keyof Contract & keyof typeof Ours

export type NothingElseIsMissing = Fits<Missing, NotBuiltYet>
export type WhatIsListedIsMissing = Fits<NotBuiltYet, Missing>
export type Functions = Fits<Pick<typeof Ours, Built>, Pick<Contract, Built>>
