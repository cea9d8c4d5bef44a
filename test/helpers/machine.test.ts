import { describe, expect, it } from 'vitest'
import { isInstalled, rootWith } from './machine.js'

const laptop = { isRoot: false, isCi: false, has: (tool: string) => tool === 'strace' }

describe('rootWith', () => {
  it('plays a scene where root has all its tools', () => {
    expect(rootWith(['strace'], { ...laptop, isRoot: true })).toBe(true)
    expect(rootWith(['strace'], { ...laptop, isRoot: true, isCi: true })).toBe(true)
  })

  it('leaves it out on a laptop that is not prepared', () => {
    expect(rootWith(['strace'], laptop)).toBe(false)
    expect(rootWith(['strace', 'xfs_io'], { ...laptop, isRoot: true })).toBe(false)
  })

  it('never leaves it out in CI', () => {
    expect(() => rootWith(['xfs_io', 'strace'], { ...laptop, isCi: true })).toThrow('missing: root, xfs_io')
  })

  it('finds the tools of this machine', () => {
    expect(isInstalled('node')).toBe(true)
    expect(isInstalled('no-tool-of-that-name')).toBe(false)
  })
})
