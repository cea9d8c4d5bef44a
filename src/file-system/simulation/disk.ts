import { sep } from 'node:path'
import { errnoError } from './errors.js'
import { FileNode } from './file-node.js'
import { Survival } from './survival.js'

/** A directory, twice: as the processes see it, and as the disk has it. */
interface DirectoryNode {
  readonly kind: 'directory'
  readonly id: number
  readonly seen: Map<string, number>
  readonly durable: Map<string, number>
}

/** A symbolic link, pipe or socket: something that is there and must be left alone. */
interface OtherNode {
  readonly kind: 'other'
  readonly id: number
}

type Node = FileNode | DirectoryNode | OtherNode

/** One change of names that the journal takes whole or not at all: a rename is two entries at once. */
interface NameChange {
  readonly sequence: number
  readonly entries: readonly Entry[]
}

interface Entry {
  readonly directory: number
  readonly name: string
  readonly node: number | undefined
}

interface Place {
  directory: DirectoryNode
  name: string
  node: Node | undefined
}

const ROOT = 1
const SEPARATORS = sep === '\\' ? /[\\/]+/ : /\/+/

/** The state of a simulated disk and of the page cache above it. Synchronous and without faults: those come from above. */
export class Disk {
  #nodes = new Map<number, Node>([[ROOT, directoryNode(ROOT)]])
  #nameChanges: NameChange[] = []
  #stuckNames = new Set<number>()
  #nextId = ROOT + 1
  #sequence = 1

  clone(): Disk {
    const copy = new Disk()
    copy.#nodes = new Map()
    for (const [id, node] of this.#nodes) copy.#nodes.set(id, cloneNode(node))
    copy.#nameChanges = this.#nameChanges.slice()
    copy.#stuckNames = new Set(this.#stuckNames)
    copy.#nextId = this.#nextId
    copy.#sequence = this.#sequence
    return copy
  }

  /** Changes are numbered as they take effect; a sync that draws a number when it is called covers the lower ones. */
  nextSequence(): number {
    return this.#sequence++
  }

  // ---- looking ------------------------------------------------------------------------------------------------------

  find(path: string): Node | undefined {
    return path.split(SEPARATORS).every(isEmptyName) ? this.#directory(ROOT) : this.#place(path, 'stat').node
  }

  /** The node, if the crash or the clone has kept it. */
  file(id: number): FileNode | undefined {
    const node = this.#nodes.get(id)
    return node?.kind === 'file' ? node : undefined
  }

  list(path: string): string[] {
    return [...this.#directoryAt(path, 'scandir').seen.keys()]
  }

  directoryId(path: string, syscall: string): number {
    return this.#directoryAt(path, syscall).id
  }

  usedBytes(): number {
    let used = 0
    const linked = this.#reachable(directory => directory.seen)
    for (const node of this.#nodes.values()) {
      if (node.kind === 'file' && (linked.has(node.id) || node.handles > 0)) used += node.allocatedBytes
    }
    return used
  }

  openFiles(): number {
    let open = 0
    for (const node of this.#nodes.values()) if (node.kind === 'file') open += node.handles
    return open
  }

  // ---- changing names -----------------------------------------------------------------------------------------------

  createFile(path: string): FileNode {
    const place = this.#vacancy(path, 'open')
    const file = new FileNode(this.#nextId++)
    this.#nodes.set(file.id, file)
    this.#changeNames([entry(place, file.id)])
    return file
  }

  createDirectory(path: string): void {
    const place = this.#vacancy(path, 'mkdir')
    const directory = directoryNode(this.#nextId++)
    this.#nodes.set(directory.id, directory)
    this.#changeNames([entry(place, directory.id)])
  }

  createOther(path: string): void {
    const place = this.#vacancy(path, 'symlink')
    this.#nodes.set(this.#nextId, { kind: 'other', id: this.#nextId })
    this.#setBoth(place, this.#nextId++)
  }

  rename(from: string, to: string): void {
    const source = this.#place(from, 'rename')
    const target = this.#place(to, 'rename')
    if (!source.node) throw errnoError('ENOENT', 'rename', from)
    if (this.#holds(source.node, target.directory)) throw errnoError('EINVAL', 'rename', from)
    if (target.node && this.#holds(target.node, source.directory)) throw errnoError('ENOTEMPTY', 'rename', to)
    if (target.node === source.node) return
    const clash = target.node && kindClash(source.node, target.node)
    if (clash) throw errnoError(clash, 'rename', to)
    this.#changeNames([entry(source, undefined), entry(target, source.node.id)])
  }

  unlink(path: string): void {
    const place = this.#place(path, 'unlink')
    if (!place.node) throw errnoError('ENOENT', 'unlink', path)
    if (place.node.kind === 'directory') throw errnoError('EISDIR', 'unlink', path)
    this.#changeNames([entry(place, undefined)])
  }

  link(existing: string, path: string): void {
    const { node } = this.#place(existing, 'link')
    if (!node) throw errnoError('ENOENT', 'link', existing)
    const vacancy = this.#vacancy(path, 'link')
    if (node.kind === 'directory') throw errnoError('EPERM', 'link', existing)
    this.#changeNames([entry(vacancy, node.id)])
  }

  // ---- durability ---------------------------------------------------------------------------------------------------

  /** Makes the names in a directory durable that were changed before call number `before`, and what those changes rest on. */
  syncDirectory(id: number, before: number): void {
    const due = (change: NameChange) =>
      change.sequence < before && !this.#stuckNames.has(change.sequence) && concerns(change, id)
    const needed = new Set(this.#nameChanges.filter(due))
    this.#addPredecessors(needed)
    for (const change of this.#nameChanges) if (needed.has(change)) this.#makeDurable(change)
    this.#nameChanges = this.#nameChanges.filter(change => !needed.has(change))
    this.#forgetUnreachable()
  }

  /** A directory's sync fails: what it was asked to write is never written by a later one, though it may have been by this. */
  failDirectorySync(id: number): void {
    for (const change of this.#nameChanges) if (concerns(change, id)) this.#stuckNames.add(change.sequence)
  }

  /** The power goes. */
  cut(seed: number): void {
    const survival = new Survival(seed, this.#unsynced())
    const lost = new Set<string>()
    for (const change of this.#nameChanges) {
      const keys = change.entries.map(keyOf)
      // A change that rests on one that is lost is lost with it.
      if (keys.some(key => lost.has(key)) || !survival.name(change.sequence)) for (const key of keys) lost.add(key)
      else this.#makeDurable(change)
    }
    this.#nameChanges = []
    this.#stuckNames.clear()
    for (const node of this.#nodes.values()) if (node.kind === 'directory') restore(node)
    this.#forgetUnreachable()
    for (const node of this.#nodes.values()) if (node.kind === 'file') node.cut(survival)
  }

  // ---- for tests that damage ----------------------------------------------------------------------------------------

  /** Puts a file there as if it had been there for long. */
  place(path: string, bytes: Uint8Array): void {
    const place = this.#place(path, 'open')
    const file = place.node?.kind === 'file' ? place.node : new FileNode(this.#nextId++)
    this.#nodes.set(file.id, file)
    file.replace(bytes)
    this.#setBoth(place, file.id)
  }

  remove(path: string): void {
    this.#setBoth(this.#place(path, 'unlink'), undefined)
  }

  // -------------------------------------------------------------------------------------------------------------------

  #unsynced(): number[] {
    const sequences = new Set(this.#nameChanges.map(change => change.sequence))
    for (const node of this.#nodes.values()) {
      if (node.kind === 'file') for (const sequence of node.unsynced) sequences.add(sequence)
    }
    return [...sequences].sort((a, b) => a - b)
  }

  #addPredecessors(needed: Set<NameChange>): void {
    const keys = new Set<string>()
    for (const change of this.#nameChanges.toReversed()) {
      const own = change.entries.map(keyOf)
      if (own.some(key => keys.has(key))) needed.add(change)
      if (needed.has(change)) for (const key of own) keys.add(key)
    }
  }

  #makeDurable(change: NameChange): void {
    for (const { directory, name, node } of change.entries) {
      const durable = this.#directory(directory)?.durable
      if (node === undefined) durable?.delete(name)
      else durable?.set(name, node)
    }
  }

  #changeNames(entries: Entry[]): void {
    for (const { directory, name, node } of entries) {
      const seen = this.#directory(directory)?.seen
      if (node === undefined) seen?.delete(name)
      else seen?.set(name, node)
    }
    this.#nameChanges.push({ sequence: this.nextSequence(), entries })
  }

  #setBoth({ directory, name }: Place, node: number | undefined): void {
    for (const names of [directory.seen, directory.durable]) {
      if (node === undefined) names.delete(name)
      else names.set(name, node)
    }
    const key = keyOf({ directory: directory.id, name })
    this.#nameChanges = this.#nameChanges.filter(change => !change.entries.some(other => keyOf(other) === key))
  }

  #directory(id: number): DirectoryNode | undefined {
    const node = this.#nodes.get(id)
    return node?.kind === 'directory' ? node : undefined
  }

  #directoryAt(path: string, syscall: string): DirectoryNode {
    const node = this.find(path)
    if (!node) throw errnoError('ENOENT', syscall, path)
    if (node.kind !== 'directory') throw errnoError('ENOTDIR', syscall, path)
    return node
  }

  #place(path: string, syscall: string): Place {
    const names = path.split(SEPARATORS).filter(name => !isEmptyName(name))
    const name = names.pop()
    if (name === undefined) throw errnoError('EINVAL', syscall, path)
    if (Buffer.byteLength(name) > 255) throw errnoError('ENAMETOOLONG', syscall, path)
    let directory = this.#directory(ROOT) as DirectoryNode
    for (const step of names) {
      const node = this.#nodes.get(directory.seen.get(step) ?? 0)
      if (!node) throw errnoError('ENOENT', syscall, path)
      if (node.kind !== 'directory') throw errnoError('ENOTDIR', syscall, path)
      directory = node
    }
    return { directory, name, node: this.#nodes.get(directory.seen.get(name) ?? 0) }
  }

  /** Whether a directory is, or has somewhere below it, another one. */
  #holds(node: Node, directory: DirectoryNode): boolean {
    if (node.kind !== 'directory') return false
    return node === directory || this.#childrenOf(node).some(child => this.#holds(child, directory))
  }

  #childrenOf(directory: DirectoryNode): Node[] {
    return [...directory.seen.values()].flatMap(id => this.#nodes.get(id) ?? [])
  }

  #vacancy(path: string, syscall: string): Place {
    const place = this.#place(path, syscall)
    if (place.node) throw errnoError('EEXIST', syscall, path)
    return place
  }

  #reachable(names: (directory: DirectoryNode) => Map<string, number>): Set<number> {
    const reached = new Set([ROOT])
    for (const id of reached) {
      const directory = this.#directory(id)
      if (directory) for (const child of names(directory).values()) reached.add(child)
    }
    return reached
  }

  #forgetUnreachable(): void {
    const pending = this.#nameChanges.flatMap(change => change.entries.map(({ node }) => node))
    const roots = new Set([ROOT, ...pending])
    for (const id of roots) {
      const directory = this.#directory(id ?? 0)
      for (const names of directory ? [directory.seen, directory.durable] : []) {
        for (const child of names.values()) roots.add(child)
      }
    }
    for (const [id, node] of this.#nodes) {
      if (!roots.has(id) && !(node.kind === 'file' && node.handles > 0)) this.#nodes.delete(id)
    }
  }
}

function directoryNode(id: number): DirectoryNode {
  return { kind: 'directory', id, seen: new Map(), durable: new Map() }
}

function cloneNode(node: Node): Node {
  if (node.kind === 'file') return node.clone()
  if (node.kind === 'other') return node
  return { kind: 'directory', id: node.id, seen: new Map(node.seen), durable: new Map(node.durable) }
}

function restore(directory: DirectoryNode): void {
  directory.seen.clear()
  for (const [name, node] of directory.durable) directory.seen.set(name, node)
}

function entry({ directory, name }: Place, node: number | undefined): Entry {
  return { directory: directory.id, name, node }
}

function keyOf({ directory, name }: { directory: number; name: string }): string {
  return `${directory}/${name}`
}

function concerns(change: NameChange, directory: number): boolean {
  return change.entries.some(entry => entry.directory === directory)
}

function kindClash(source: Node, target: Node): 'EISDIR' | 'ENOTDIR' | 'ENOTEMPTY' | undefined {
  if (target.kind !== 'directory') return source.kind === 'directory' ? 'ENOTDIR' : undefined
  if (source.kind !== 'directory') return 'EISDIR'
  return target.seen.size > 0 ? 'ENOTEMPTY' : undefined
}

function isEmptyName(name: string): boolean {
  return name === '' || name === '.'
}
