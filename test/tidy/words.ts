import type { SourceText } from './source.js'

interface WordRule {
  what: string
  pattern: RegExp
  applies: (path: string) => boolean
}

const isProse = (path: string) => path.endsWith('.md')
const isTest = (path: string) => /^test\/.*\.[cm]?[jt]s$/.test(path)
const always = () => true

// The words are put together from parts, so that the rules do not find themselves.
const wordRules: WordRule[] = [
  { what: 'an unfinished mark', pattern: word('TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'), applies: always },
  { what: 'a path of one machine', pattern: folder('work', 'farm', 'root'), applies: always },
  { what: 'a path of one machine', pattern: folder('home', 'tmp'), applies: isProse },
  {
    what: 'the address of a package registry',
    pattern: /\b(registry\.[a-z]|npmjs\.(org|com)|pypi\.org|crates\.io|proxy\.golang\.org|deb\.debian\.org)/i,
    applies: path => !path.startsWith('test/tidy'),
  },
  { what: 'a test switched off or singled out', pattern: /\b(it|test|describe)\.(only|skip|todo)\(/, applies: isTest },
  { what: 'a check switched off', pattern: /@ts-(ignore|nocheck)/, applies: path => !path.startsWith('test/tidy') },
]

function word(...words: string[]): RegExp {
  return new RegExp(`\\b(${words.join('|')})\\b`)
}

function folder(...names: string[]): RegExp {
  return new RegExp(`(^|[\\s'"\`(=:])/(${names.join('|')})/`)
}

export function wordViolations({ path, text }: SourceText): string[] {
  const rules = wordRules.filter(rule => rule.applies(path))
  return text.split('\n').flatMap((line, index) => {
    const broken = rules.filter(rule => rule.pattern.test(line))
    return broken.map(rule => `${path}:${index + 1} holds ${rule.what}: ${line.trim().slice(0, 80)}`)
  })
}
