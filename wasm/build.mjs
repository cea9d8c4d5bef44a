// Compiles wasm/kernel.assemblyscript and writes it, as base64, into src/codec/kernel-binary.ts. The package ships the result, so that neither
// its users nor its tests need the compiler; test/codec/kernel.test.ts holds the two together.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const here = dirname(fileURLToPath(import.meta.url))
const target = join(here, '../src/codec/kernel-binary.ts')

/** The compiled module, as base64. */
export async function compileKernel() {
  let binary
  const options = [
    'kernel.ts',
    '-O3',
    '--runtime',
    'stub',
    '--importMemory',
    '--noAssert',
    '--enable',
    'simd',
    '--initialMemory',
    '1',
    '-o',
    'kernel.wasm',
  ]
  const { error, stderr } = await asc.main(options, {
    readFile: name => (name === 'kernel.ts' ? readFileSync(join(here, 'kernel.assemblyscript'), 'utf8') : null),
    writeFile: (_name, contents) => {
      binary = contents
    },
    listFiles: () => [],
  })
  if (error) throw new Error(`${error.message}\n${stderr}`)
  return Buffer.from(binary).toString('base64')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const lines = (await compileKernel()).match(/.{1,100}/g).map(line => `  '${line}',`)
  const header = '/** Compiled from wasm/kernel.assemblyscript by `npm run build:wasm`; not to be edited. */\n'
  writeFileSync(target, `${header}export const KERNEL_BASE64 = [\n${lines.join('\n')}\n].join('')\n`)
}
