import { isBlockError } from '@blockloom/block-driver'
import { describe, expect, it } from 'vitest'
import { decodeHeader, encodeHeader, HEADER_SIZE } from '../src/on-disk/header.ts'

describe('the header', () => {
  it.each([0, 512, 2 ** 32 + 5, 2 ** 50])('keeps a size of %d bytes', (size) => {
    expect(decodeHeader(encodeHeader(size), HEADER_SIZE + size)).toBe(size)
  })

  it('of another format is refused', () => {
    expect(() => decodeHeader(new Uint8Array(HEADER_SIZE), 1024)).toThrow('Image is not in acme format')
  })

  it('with a size beyond the file or beyond every image is refused by name', () => {
    const huge = encodeHeader(512).fill(0xff, 32, 40)
    for (const header of [encodeHeader(513), huge]) {
      expect(() => decodeHeader(header, HEADER_SIZE + 512)).toThrow(expect.toSatisfy((error: unknown) => isBlockError(error) && error.detail['field'] === 'size'))
    }
  })
})
