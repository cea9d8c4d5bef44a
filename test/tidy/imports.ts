import { posix } from 'node:path'
import type { Source } from './source.js'

/**
 * The import table of docs/ARCHITECTURE.md. A row names modules by their path under src, without the ending: `codec` is
 * everything in that folder. The first row that fits a module is its row. Modules of one folder may import each other.
 */
const floor = ['errors', 'contract', 'options', 'check-options', 'abort', 'clock', 'emit', 'types']
/** The part of file-system that knows no operating system. */
const fileSystemBoundary = ['types', 'block', 'errno', 'io-error', 'transfer', 'two-slot-file'].map(
  name => `file-system/${name}`,
)
const entryPoints = ['index', 'rxjs', 'testing']
const compositionRoots = ['open', 'follow', 'inspect', 'verify', 'repair', 'cli']
const everything = ['']

const importTable: { modules: string[]; mayImport: string[] }[] = [
  { modules: floor, mayImport: floor },
  { modules: ['codec'], mayImport: floor },
  { modules: ['file-system'], mayImport: ['codec', ...floor] },
  { modules: ['segments'], mayImport: ['codec', ...fileSystemBoundary, ...floor] },
  { modules: ['log'], mayImport: ['segments', 'codec', ...fileSystemBoundary, ...floor] },
  { modules: ['consumers'], mayImport: [...fileSystemBoundary, ...floor] },
  { modules: ['streams', 'transaction'], mayImport: floor },
  { modules: ['reader'], mayImport: ['streams', 'consumers', ...floor] },
  { modules: ['wal'], mayImport: ['reader', 'transaction', 'streams', 'consumers', ...floor] },
  { modules: compositionRoots, mayImport: everything },
  { modules: entryPoints, mayImport: everything },
]

/** Packages and built-in modules that only the modules named here may import. */
const reserved = [
  {
    specifier: /^(node:)?(fs|fs\/promises|child_process|net|dgram|http|https)$/,
    modules: ['file-system/node', 'file-system/lock'],
  },
  { specifier: /^rxjs(\/|$)/, modules: ['streams/rxjs'] },
]

/** What a source file imports against the table, as sentences. */
export function importViolations(sources: readonly Source[]): string[] {
  return sources.flatMap(source => {
    const module = moduleName(source.path)
    return [...shapeViolations(source, module), ...rowViolations(source, module), ...reservedViolations(source, module)]
  })
}

function shapeViolations(source: Source, module: string): string[] {
  const mixed = entryPoints.includes(module) && !source.onlyReExports
  return mixed ? [`${source.path} is an entry point: it lists exports from elsewhere and holds nothing else`] : []
}

function rowViolations(source: Source, module: string): string[] {
  const row = importTable.find(({ modules }) => isAmong(module, modules))
  if (!row)
    return [`${source.path} has no row in the import table: add one to test/tidy/imports.ts and ARCHITECTURE.md`]
  return localImports(source)
    .filter(({ target }) => !mayImport(module, target, row.mayImport))
    .map(({ target }) => `${source.path} must not import ${target}: the import table does not allow it`)
}

function mayImport(module: string, target: string, allowed: string[]): boolean {
  if (entryPoints.includes(target)) return false
  if (isAmong(target, compositionRoots) && !isAmong(module, [...entryPoints, 'cli'])) return sameFolder(module, target)
  return allowed === everything || sameFolder(module, target) || isAmong(target, allowed)
}

function sameFolder(module: string, target: string): boolean {
  const folder = module.split('/', 1)[0]
  return module.includes('/') && target.startsWith(`${folder}/`)
}

function reservedViolations(source: Source, module: string): string[] {
  return reserved.flatMap(({ specifier, modules }) =>
    source.imports
      .filter(imported => specifier.test(imported.specifier) && !isAmong(module, modules))
      .map(imported => `${source.path} must not import ${imported.specifier}: only ${modules.join(' and ')} may`),
  )
}

/** Each circle of modules that import values of each other, once, as `a -> b -> a`. */
export function valueImportCycles(sources: readonly Source[]): string[] {
  const graph = new Map(sources.map(source => [moduleName(source.path), valueTargets(source)]))
  const settled = new Set<string>()
  const cycles: string[] = []
  const visit = (module: string, trail: string[]) => {
    const start = trail.indexOf(module)
    if (start !== -1) cycles.push([...trail.slice(start), module].join(' -> '))
    if (start !== -1 || settled.has(module)) return
    for (const target of graph.get(module) ?? []) visit(target, [...trail, module])
    settled.add(module)
  }
  for (const module of graph.keys()) visit(module, [])
  return cycles
}

function valueTargets(source: Source): string[] {
  return localImports(source)
    .filter(({ typeOnly }) => !typeOnly)
    .map(({ target }) => target)
}

function localImports(source: Source): { target: string; typeOnly: boolean }[] {
  return source.imports
    .filter(({ specifier }) => specifier.startsWith('.'))
    .map(({ specifier, typeOnly }) => ({
      target: moduleName(posix.join(posix.dirname(source.path), specifier)),
      typeOnly,
    }))
}

function isAmong(module: string, rows: readonly string[]): boolean {
  return rows.some(row => row === '' || module === row || module.startsWith(`${row}/`))
}

/** `src/codec/block.ts` is `codec/block`. */
function moduleName(path: string): string {
  return path.replace(/^src\//, '').replace(/\.[jt]s$/, '')
}
