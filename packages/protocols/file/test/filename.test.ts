import { describe, expect, test } from 'vitest'
import { nativeDriver, open, plainDriver, scratchFile } from './scratch.ts'

describe('file names', () => {
  test.each([
    ['x', 'x'],
    ['file:x', 'x'],
    ['file:///tmp/x', '///tmp/x'],
    ['file:nbd:x', 'nbd:x'],
    ['C:\\disks\\x', 'C:\\disks\\x'],
    ['/a:b', '/a:b'],
  ])('%s is the file %s', (name, filename) => {
    expect(nativeDriver.parseFilename!(name)).toEqual({ filename })
  })

  test.each(['', 'file:'])('"%s" is none', (name) => {
    expect(() => nativeDriver.parseFilename!(name)).toThrow("The 'file' block driver requires a file name")
  })

  test('a name opens the same file again, even if it looks like a protocol', async () => {
    const path = scratchFile(Uint8Array.of(1), 'nbd:x')
    const image = await open(plainDriver, path)
    expect(nativeDriver.parseFilename!(image.filename!)).toEqual({ filename: path })
    const before = process.cwd()
    process.chdir(path.slice(0, -'nbd:x'.length))
    try {
      const relative = await open(plainDriver, 'nbd:x')
      expect(relative.filename).toBe('file:nbd:x')
    } finally {
      process.chdir(before)
    }
  })
})
