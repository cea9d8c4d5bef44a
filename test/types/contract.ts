/**
 * Checked by the compiler (`npm run types`), never run: what the package exports against the published contract in
 * docs/walrus-wal.d.ts. Classes and functions may do more than the contract says, so ours have to fit the contract's
 * types; plain data and options have to fit both ways, and hold every member the contract has.
 */
import type * as Contract from '../../docs/walrus-wal.js'
import type * as Ours from '../../src/index.js'

/** Functions of the contract that are not built yet. One that is exported has to leave this list. */
type NotBuiltYet = never

// ---- functions and classes ----------------------------------------------------------------------------------------
/** Constructing a WalError is the library's own business, so only what users hold of it is compared. */
type BuiltFunctions = Exclude<keyof typeof Contract & keyof typeof Ours, 'WalError'>

type Missing = Exclude<keyof typeof Contract, keyof typeof Ours>

export type NothingElseIsMissing = Fits<Missing, NotBuiltYet>
export type WhatIsListedIsMissing = Fits<NotBuiltYet, Missing>
export type Functions = Fits<Pick<typeof Ours, BuiltFunctions>, Pick<typeof Contract, BuiltFunctions>>

// ---- what users hold ----------------------------------------------------------------------------------------------
export type WalError = Fits<Ours.WalError, Contract.WalError>
export type Wal<T, In> = Fits<Ours.Wal<T, In>, Contract.Wal<T, In>>
export type WalReader<T> = Fits<Ours.WalReader<T>, Contract.WalReader<T>>
export type WalTransaction<In> = Fits<Ours.WalTransaction<In>, Contract.WalTransaction<In>>
export type WalConsumer<T> = Fits<Ours.WalConsumer<T>, Contract.WalConsumer<T>>
export type Cursor<T> = Fits<Ours.Cursor<T>, Contract.Cursor<T>>
export type EntryStream<T> = Fits<Ours.EntryStream<T>, Contract.EntryStream<T>>

// ---- plain data and options ---------------------------------------------------------------------------------------
/** Stands for the type of the data; members of an object are compared only once every type is known. */
interface Order {
  id: string
}
export type Entry = True<Same<Ours.Entry<Order>, Contract.Entry<Order>>>
export type EntryOptions = True<Same<Ours.EntryOptions, Contract.EntryOptions>>
export type EntryInput = True<Same<Ours.EntryInput<Order>, Contract.EntryInput<Order>>>
export type IndexRange = True<Same<Ours.IndexRange, Contract.IndexRange>>
export type Encoding = True<Same<Ours.Encoding<string, Order>, Contract.Encoding<string, Order>>>
export type StandardSchema = True<Same<Ours.StandardSchema<Order>, Contract.StandardSchema<Order>>>
export type WalOptions = True<Same<Ours.WalOptions, Contract.WalOptions>>
export type Trigger = True<Same<Ours.Trigger, Contract.Trigger>>
export type Logger = True<Same<Ours.Logger, Contract.Logger>>
export type FollowOptions = True<Same<Ours.FollowOptions, Contract.FollowOptions>>
export type From = True<Same<Ours.From, Contract.From>>
export type ReadOptions = True<Same<Ours.ReadOptions<Order>, Contract.ReadOptions<Order>>>
export type TailOptions = True<Same<Ours.TailOptions<Order>, Contract.TailOptions<Order>>>
export type Chunk = True<Same<Ours.Chunk<Order>, Contract.Chunk<Order>>>
export type BatchOptions = True<Same<Ours.BatchOptions, Contract.BatchOptions>>
export type AppendOptions = True<Same<Ours.AppendOptions, Contract.AppendOptions>>
export type ConsumerOptions = True<Same<Ours.ConsumerOptions<Order>, Contract.ConsumerOptions<Order>>>
export type RunOptions = True<Same<Ours.RunOptions<Order>, Contract.RunOptions<Order>>>
export type ConsumerEvents = True<Same<Ours.ConsumerEvents, Contract.ConsumerEvents>>
export type ConsumerInfo = True<Same<Ours.ConsumerInfo, Contract.ConsumerInfo>>
export type WalEvents = True<Same<Ours.WalEvents, Contract.WalEvents>>
export type SegmentInfo = True<Same<Ours.SegmentInfo, Contract.SegmentInfo>>
export type RecoveryReport = True<Same<Ours.RecoveryReport, Contract.RecoveryReport>>
export type Progress = True<Same<Ours.Progress, Contract.Progress>>
export type VerifyOptions = True<Same<Ours.VerifyOptions, Contract.VerifyOptions>>
export type Finding = True<Same<Ours.Finding, Contract.Finding>>
export type VerifyReport = True<Same<Ours.VerifyReport, Contract.VerifyReport>>
export type RepairReport = True<Same<Ours.RepairReport, Contract.RepairReport>>
export type BackupReport = True<Same<Ours.BackupReport, Contract.BackupReport>>
export type Histogram = True<Same<Ours.Histogram, Contract.Histogram>>
export type WalStats = True<Same<Ours.WalStats, Contract.WalStats>>
export type WalErrorCode = True<Same<Ours.WalErrorCode, Contract.WalErrorCode>>

// ---- the comparisons ----------------------------------------------------------------------------------------------
type Fits<Narrow extends Wide, Wide> = [Narrow, Wide]
type Same<A extends B, B> = [B] extends [A]
  ? [Whole<A>] extends [Whole<B>]
    ? true
    : 'ours lacks an optional member of the contract'
  : 'the type of the contract does not fit ours'
/** With every optional member required, all the way down: two types that lack each other's options fit both ways. */
type Whole<T> = T extends Leaf ? T : { [Key in keyof T]-?: Whole<NonNullable<T[Key]>> }
type Leaf = string | number | boolean | ((...args: never[]) => unknown) | Date | AbortSignal | AsyncIterable<unknown>
type True<Condition extends true> = Condition
