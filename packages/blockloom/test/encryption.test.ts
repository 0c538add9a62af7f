import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tempFolder } from '@blockloom/oracle'
import { afterAll, describe, expect, test } from 'vitest'
import { convert, createImage, imageInfo, keySecretOptions, openImage } from '../src/index.ts'

const SECRETS = { sec0: 'correct horse', other: new TextEncoder().encode('battery staple') }
const LUKS = { 'encrypt.format': 'luks', 'encrypt.key-secret': 'sec0', 'encrypt.iter-time': 1 }
const UNLOCK = { 'encrypt.key-secret': 'sec0' }

describe('encrypted images', () => {
  const folder = tempFolder()
  const at = (name: string): string => join(folder, name)
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  test('are made, opened and converted with secrets', async () => {
    await createImage(at('a.qcow2'), { format: 'qcow2', size: '1M', options: LUKS, secrets: SECRETS })
    {
      await using disk = await openImage(at('a.qcow2'), { format: 'qcow2', write: true, options: UNLOCK, secrets: SECRETS })
      await disk.write(1000, new Uint8Array(5000).fill(9))
    }
    await expect(openImage(at('a.qcow2'), { format: 'qcow2' })).rejects.toThrow("Parameter 'encrypt.key-secret' is required for cipher")
    await expect(openImage(at('a.qcow2'), { format: 'qcow2', options: { encrypt: { 'key-secret': 'other' } }, secrets: SECRETS })).rejects.toThrow('Invalid password')
    await expect(openImage(at('a.qcow2'), { format: 'qcow2', options: { 'encrypt.key-secret': 'none' }, secrets: SECRETS })).rejects.toThrow("No secret with id 'none'")
    {
      await using disk = await openImage(at('a.qcow2'), { format: 'qcow2', noIo: true, noBacking: true })
      expect(await imageInfo(disk.node)).toMatchObject({ encrypted: true, 'format-specific': { data: { encrypt: { format: 'luks' } } } })
    }
    // Options nested and flat, the format guessed, secrets by a function.
    const target = { format: 'qcow2', options: { encrypt: { format: 'aes', 'key-secret': 'other' } }, secrets: SECRETS }
    await convert(at('a.qcow2'), at('b.qcow2'), { source: { format: 'probe', options: UNLOCK, secrets: SECRETS }, target })
    await using copy = await openImage(at('b.qcow2'), { format: 'probe', options: { 'encrypt.key-secret': 'other' }, secrets: () => SECRETS.other })
    expect(await copy.read(1000, 5000)).toEqual(new Uint8Array(5000).fill(9))
    expect(await copy.read(6000, 100_000)).toEqual(new Uint8Array(100_000))
  })

  test('an overlay and its base have their own secrets', async () => {
    await createImage(at('base.qcow2'), { format: 'qcow2', size: '1M', options: { 'encrypt.format': 'aes', 'encrypt.key-secret': 'other' }, secrets: SECRETS })
    {
      await using base = await openImage(at('base.qcow2'), { format: 'qcow2', write: true, options: { 'encrypt.key-secret': 'other' }, secrets: SECRETS })
      await base.write(0, new Uint8Array(200_000).fill(3))
    }
    await createImage(at('over.qcow2'), { format: 'qcow2', size: '1M', options: { ...LUKS, backing_file: 'base.qcow2', backing_fmt: 'qcow2' }, secrets: SECRETS })
    const backing = { driver: 'qcow2', encrypt: { 'key-secret': 'other' }, file: { driver: 'file', filename: at('base.qcow2') } }
    const how = { format: 'qcow2', options: { ...UNLOCK, backing }, secrets: SECRETS }
    {
      await using over = await openImage(at('over.qcow2'), { ...how, write: true })
      await over.write(100_001, new Uint8Array(10).fill(4))
    }
    await using over = await openImage(at('over.qcow2'), how)
    const expected = new Uint8Array(200_000).fill(3).fill(4, 100_001, 100_011)
    expect(Buffer.compare(await over.read(0, 200_000), expected)).toBe(0)
  })

  test('that cannot be made leave nothing behind', async () => {
    await createImage(at('plain.raw'), { format: 'raw', size: '1M' })
    const target = { format: 'qcow2', options: { ...LUKS, 'encrypt.key-secret': 'none' }, secrets: SECRETS }
    await expect(convert(at('plain.raw'), at('gone.qcow2'), { source: { format: 'raw' }, target })).rejects.toThrow("No secret with id 'none'")
    expect(existsSync(at('gone.qcow2'))).toBe(false)
  })

  test('which options opening needs too', () => {
    expect(keySecretOptions()).toEqual({})
    expect(keySecretOptions({ ...LUKS, size: 5, list: ['key-secret'] })).toEqual(UNLOCK)
    expect(keySecretOptions({ encrypt: { format: 'luks', 'key-secret': 's' }, cluster_size: '4k', other: { a: 1 }, none: null })).toEqual({ encrypt: { 'key-secret': 's' } })
  })
})
