import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { type ParseResult, parseSync, visitorKeys } from 'oxc-parser'
import { fromRoot, projectRoot } from '../helpers/project.js'

/** A file of the project: its path from the root, with forward slashes, and its text. */
export interface SourceText {
  path: string
  text: string
}

export interface ImportedName {
  specifier: string
  /** True when nothing of the import is left at run time. */
  typeOnly: boolean
}

export interface MeasuredFunction {
  name: string
  codeLines: number
  /** It calls `describe`, `it` or `test` itself: a list of tests rather than a function. */
  isSuite: boolean
}

export interface Source extends SourceText {
  /** The text with blanks in place of comments. */
  code: string
  imports: ImportedName[]
  functions: MeasuredFunction[]
  /** Lines that hold more than blanks and comments: to explain something never makes a file too long. */
  codeLines: number
  /** Whether every statement at the top is an export from elsewhere. */
  onlyReExports: boolean
}

interface Node {
  type: string
  start: number
  end: number
}

/** Every file that git tracks or would track. */
export function projectFiles(): string[] {
  const listing = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: projectRoot,
    encoding: 'utf8',
  })
  return [...new Set(listing.split('\0'))].filter(path => path !== '' && existsSync(fromRoot(path)))
}

export function readProjectFile(path: string): SourceText {
  return { path, text: readFileSync(fromRoot(path), 'utf8') }
}

export function isCode(path: string): boolean {
  return /\.[cm]?[jt]s$/.test(path) && !path.endsWith('.d.ts')
}

export function parse({ path, text }: SourceText): Source {
  const result = parseSync(path, text)
  if (result.errors.length > 0) throw new SyntaxError(`${path}: ${result.errors[0]?.message}`)
  const code = withoutComments(text, result.comments)
  const countLines = (start: number, end: number) => linesOfCode(code.slice(start, end))
  return {
    path,
    text,
    code,
    imports: importsOf(result, text),
    functions: functionsOf(result.program, countLines),
    codeLines: linesOfCode(code),
    onlyReExports: result.program.body.every(isReExport),
  }
}

function isReExport(statement: Node): boolean {
  return statement.type.startsWith('Export') && 'source' in statement && statement.source !== null
}

function importsOf(result: ParseResult, text: string): ImportedName[] {
  const { staticImports, staticExports, dynamicImports } = result.module
  const found = staticImports.map(({ moduleRequest, entries }) => ({
    specifier: moduleRequest.value,
    typeOnly: entries.length > 0 && entries.every(entry => entry.isType),
  }))
  for (const { entries } of staticExports) {
    for (const { moduleRequest, isType } of entries) {
      if (moduleRequest) found.push({ specifier: moduleRequest.value, typeOnly: isType })
    }
  }
  for (const { moduleRequest } of dynamicImports) {
    found.push({ specifier: text.slice(moduleRequest.start + 1, moduleRequest.end - 1), typeOnly: false })
  }
  walk(result.program, node => {
    if (node.type === 'TSImportType') found.push({ specifier: importTypeSource(node), typeOnly: true })
  })
  return found
}

function importTypeSource(node: Node): string {
  return (node as Node & { source: { value: string } }).source.value
}

function functionsOf(program: Node, countLines: (start: number, end: number) => number): MeasuredFunction[] {
  const found: MeasuredFunction[] = []
  walk(program, (node, parent) => {
    if (!isFunction(node)) return
    found.push({
      name: nameOf(node) ?? nameOf(parent) ?? 'anonymous',
      codeLines: countLines(node.start, node.end),
      isSuite: registersTests(node),
    })
  })
  return found
}

function isFunction(node: Node): boolean {
  return ['FunctionDeclaration', 'FunctionExpression', 'ArrowFunctionExpression'].includes(node.type)
}

function nameOf(node: Node | undefined): string | undefined {
  const { id, key } = (node ?? {}) as { id?: { name?: string }; key?: { name?: string } }
  return id?.name ?? key?.name
}

function registersTests(node: Node): boolean {
  let found = false
  walk(node, inner => {
    found ||= inner.type === 'CallExpression' && /^(describe|it|test)$/.test(calleeName(inner))
  })
  return found
}

/** `it` in `it(…)`, `it.each(…)(…)` and the like. */
function calleeName(call: Node): string {
  let node = call as { type: string; name?: string; callee?: never; object?: never }
  while (node.type !== 'Identifier') {
    const inner = node.callee ?? node.object
    if (inner === undefined) return ''
    node = inner
  }
  return node.name ?? ''
}

function walk(node: Node, visit: (node: Node, parent: Node | undefined) => void, parent?: Node): void {
  visit(node, parent)
  for (const key of visitorKeys[node.type] ?? []) {
    for (const child of [(node as never)[key]].flat() as (Node | null | undefined)[]) {
      if (child) walk(child, visit, node)
    }
  }
}

function withoutComments(text: string, comments: readonly { start: number; end: number }[]): string {
  let code = text
  for (const { start, end } of comments) {
    code = code.slice(0, start) + code.slice(start, end).replace(/[^\n]/g, ' ') + code.slice(end)
  }
  return code
}

function linesOfCode(code: string): number {
  return code.split('\n').filter(line => line.trim() !== '').length
}
