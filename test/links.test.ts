import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fromRoot } from './helpers/project.js'
import { projectFiles } from './tidy/source.js'

const documents = projectFiles().filter(path => path.endsWith('.md'))
const textOf = (path: string) => readFileSync(fromRoot(path), 'utf8').replace(/^```.*?^```/gms, '')

/** The link targets of a document, without the ones that lead out of the repository. */
function linksOf(text: string): string[] {
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1]!)
  return targets.filter(target => !/^[a-z]+:/.test(target))
}

/** The anchors that a renderer gives to headings. */
function anchorsOf(text: string): string[] {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(match => match[1]!)
  const plain = (heading: string) => heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
  return headings.map(heading =>
    plain(heading)
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-'),
  )
}

/** Why a link of the document leads nowhere; undefined if it leads somewhere. */
function broken(document: string, target: string): string | undefined {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? document : join(dirname(document), decodeURIComponent(file))
  if (!existsSync(fromRoot(path))) return `${document}: there is no ${path}`
  if (anchor === undefined || anchorsOf(textOf(path)).includes(anchor)) return undefined
  return `${document}: ${path} has no heading for #${anchor}`
}

describe('links between the documents', () => {
  it.each(documents)('%s leads to files and headings that are there', path => {
    const complaints = linksOf(textOf(path)).map(target => broken(path, target))
    expect(complaints.filter(complaint => complaint !== undefined)).toEqual([])
  })

  it('would be seen leading nowhere', () => {
    expect(linksOf('[a](b.md#c) and [d](https://example.org) ![e](f.png)')).toEqual(['b.md#c', 'f.png'])
    expect(anchorsOf('## How to `read`, and [write](x.md)?')).toEqual(['how-to-read-and-write'])
    expect(broken('README.md', 'nowhere.md')).toBe('README.md: there is no nowhere.md')
    expect(broken('README.md', 'CONTRIBUTING.md#nowhere')).toBe(
      'README.md: CONTRIBUTING.md has no heading for #nowhere',
    )
  })
})
