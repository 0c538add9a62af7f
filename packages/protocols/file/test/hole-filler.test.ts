import { expect, test } from 'vitest'
import { HoleFiller } from '../src/io/hole-filler.ts'
import type { Libc } from '../src/native/libc.ts'

const MIB = 1 << 20
const KIB = 1024
const ENXIO = 6

/** A file with data in one place; says what was allocated. */
function file(data: readonly [number, number] | null, fileSystem = 0xef53) {
  const allocated: (readonly [number, number])[] = []
  const seeks: number[] = []
  const libc = {
    fileSystemType: () => fileSystem,
    seek: (_fd: number, offset: number) => {
      seeks.push(offset)
      if (data === null || offset >= data[1]) return -ENXIO
      return Math.max(offset, data[0])
    },
    fallocateNow: (_fd: number, mode: number, offset: number, bytes: number) => {
      expect(mode).toBe(1)
      allocated.push([offset, bytes])
      return 0
    },
  } as unknown as Libc
  return { filler: HoleFiller.for(3, libc), allocated, seeks }
}

test('whole blocks of a hole are allocated before a long write fills it', () => {
  const { filler, allocated } = file(null)
  filler!.before(0, MIB)
  filler!.before(5 * MIB + 1000, 300_000)
  expect(allocated).toEqual([[0, MIB], [5 * MIB + 4096, 294_912]])
})

test('short writes, and what holds data in part, are left to the write', () => {
  const { filler, allocated } = file([2 * MIB, 3 * MIB])
  filler!.before(0, 128 * KIB)
  filler!.before(2 * MIB - 512 * KIB, MIB)
  filler!.before(2 * MIB + 100 * KIB, MIB)
  expect(allocated).toEqual([])
  filler!.before(MIB, MIB)
  filler!.before(3 * MIB, MIB)
  expect(allocated).toEqual([[MIB, MIB], [3 * MIB, MIB]])
})

test('the host is asked once for a hole that is filled from its start, and again behind it or before it', () => {
  const { filler, allocated, seeks } = file([8 * MIB, 9 * MIB])
  for (let at = 0; at < 8; at++) filler!.before(at * MIB, MIB)
  expect(seeks).toEqual([0])
  filler!.before(8 * MIB, MIB)
  filler!.before(9 * MIB, MIB)
  filler!.before(20 * MIB, MIB)
  expect(seeks).toEqual([0, 8 * MIB, 9 * MIB])
  filler!.before(3 * MIB, MIB)
  expect(seeks).toEqual([0, 8 * MIB, 9 * MIB, 3 * MIB])
  expect(allocated.length).toBe(11)
})

test('other file systems are left alone, and so is a host without koffi', () => {
  expect(file(null, 0x58465342).filler).toBeNull()
  expect(HoleFiller.for(3, null)).toBeNull()
})

test('a file system that does not tell its holes is left alone', () => {
  const allocated: number[] = []
  const libc = { fileSystemType: () => 0xef53, seek: () => -22, fallocateNow: (...call: number[]) => allocated.push(...call) } as unknown as Libc
  HoleFiller.for(3, libc)!.before(0, MIB)
  expect(allocated).toEqual([])
})
