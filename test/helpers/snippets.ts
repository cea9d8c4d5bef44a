/** A program made of code blocks of a document. */
export interface Snippet {
  /** The document and the line of the fence that ends the story so far: `README.md:41`. */
  name: string
  /** Every line of code stands at its line of the document, so that what the compiler says can be looked up there. */
  code: string
  /** False for a block marked `no-run`: it is compiled only. */
  run: boolean
}

interface Block {
  line: number
  flags: string[]
  code: string[]
}

const flagsKnown = ['continue', 'no-run']

/**
 * The programs in a document: every fenced block of TypeScript is a module of its own. A fence of `ts continue` goes on
 * where the block before it stopped (one program then, compiled as a whole), `ts no-run` is compiled and not run.
 */
export function snippetsOf(path: string, markdown: string): Snippet[] {
  const programs: Block[][] = []
  for (const block of codeBlocks(path, markdown)) {
    const last = programs.at(-1)
    if (!block.flags.includes('continue')) programs.push([block])
    else if (last) last.push(block)
    else throw new Error(`${path}:${block.line}: there is no block to continue`)
  }
  return programs.map(blocks => ({
    name: `${path}:${blocks[0]?.line}`,
    code: layOut(blocks),
    run: !blocks.some(block => block.flags.includes('no-run')),
  }))
}

function* codeBlocks(path: string, markdown: string): Generator<Block> {
  let block: Block | undefined
  let fence = ''
  for (const [index, text] of markdown.split('\n').entries()) {
    const [, indent = '', marks, info = ''] = /^( *)(`{3,})(.*)$/.exec(text) ?? []
    if (fence === '' && marks) {
      fence = indent + marks
      block = startBlock(path, index + 1, info.trim().split(/\s+/))
    } else if (fence !== '' && text.trimEnd() === fence) {
      if (block) yield block
      fence = ''
    } else if (fence !== '') {
      block?.code.push(text)
    }
  }
}

function startBlock(path: string, line: number, [language = '', ...flags]: string[]): Block | undefined {
  if (/^(js|javascript|mjs|typescript|tsx)$/i.test(language)) {
    throw new Error(`${path}:${line}: mark this block \`ts\`, so that it is compiled and run`)
  }
  if (language !== 'ts') return undefined
  const unknown = flags.find(flag => !flagsKnown.includes(flag))
  if (unknown) throw new Error(`${path}:${line}: ${unknown} is not one of ${flagsKnown.join(', ')}`)
  return { line, flags, code: [] }
}

function layOut(blocks: readonly Block[]): string {
  const lines: string[] = []
  for (const { line, code } of blocks) {
    while (lines.length < line) lines.push('')
    lines.push(...code)
  }
  return `${lines.join('\n')}\nexport {}\n`
}
