import { createCipheriv } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { type SecretDefinition, checkPassphrase, resolveSecret, resolveSecretSync } from '../../src/index.ts'

const FILES: Readonly<Record<string, string>> = { raw: 'pw\n', base64: 'cHc=\n', nul: 'cHc=\0' }

async function resolve(definition: SecretDefinition, ...others: readonly SecretDefinition[]): Promise<string> {
  const readFile = async (file: string): Promise<Uint8Array> => {
    if (FILES[file] === undefined) throw new Error('No such file or directory')
    return Buffer.from(FILES[file])
  }
  return Buffer.from(await resolveSecret(definition, new Map(others.map((other) => [other.id, other])), readFile)).toString()
}

const KEY = Buffer.alloc(32, 9)
const IV = Buffer.alloc(16, 4)
const key: SecretDefinition = { id: 'k', data: KEY.toString('base64'), format: 'base64' }

function encrypted(plain: string, padding = true): SecretDefinition {
  const cipher = createCipheriv('aes-256-cbc', KEY, IV).setAutoPadding(padding)
  return { id: 's', data: Buffer.concat([cipher.update(plain), cipher.final()]).toString('base64'), format: 'base64', keyid: 'k', iv: IV.toString('base64') }
}

describe('secrets', () => {
  test.each<readonly [SecretDefinition, string]>([
    [{ id: 's', data: 'pw' }, 'pw'],
    [{ id: 's', data: '' }, ''],
    [{ id: 's', data: 'äöü' }, 'äöü'],
    [{ id: 's', data: 'cHc=', format: 'base64' }, 'pw'],
    [{ id: 's', data: 'cH\nc=\n', format: 'base64' }, 'pw'],
    [{ id: 's', data: 'cHc==', format: 'base64' }, 'pw'],
    [{ id: 's', data: '', format: 'base64' }, ''],
    [{ id: 's', file: 'raw' }, 'pw\n'],
    [{ id: 's', file: 'base64', format: 'base64' }, 'pw'],
  ])('%j', async (definition, expected) => {
    expect(await resolve(definition)).toBe(expected)
  })

  test('encrypted ones of every length, and keys that are encrypted themselves', async () => {
    for (const plain of ['', 'pw', 'x'.repeat(15), 'x'.repeat(16), 'y'.repeat(100)]) expect(await resolve(encrypted(plain), key)).toBe(plain)
    const inner = { ...encrypted(KEY.toString('latin1')), id: 'inner' }
    expect(await resolve({ ...encrypted('pw'), keyid: 'inner' }, inner, key)).toBe('pw')
  })

  test.each<readonly [string, SecretDefinition, readonly SecretDefinition[]]>([
    ["Either 'file' or 'data' must be provided", { id: 's' }, []],
    ["'file' and 'data' are mutually exclusive", { id: 's', data: 'a', file: 'b' }, []],
    ["Parameter 'format' does not accept value 'hex'", { id: 's', data: 'a', format: 'hex' as 'raw' }, []],
    ['Base64 data contains invalid characters', { id: 's', data: 'c*Hc=', format: 'base64' }, []],
    ['Base64 data contains invalid characters', { id: 's', data: 'cHc=cHc=', format: 'base64' }, []],
    ['Base64 data contains embedded NUL characters', { id: 's', file: 'nul', format: 'base64' }, []],
    ['Base64 data is incomplete', { id: 's', data: 'cHc', format: 'base64' }, []],
    ['Base64 data is incomplete', { id: 's', data: 'c===', format: 'base64' }, []],
    ['Unable to read missing: No such file or directory', { id: 's', file: 'missing' }, []],
    ["No secret with id 'k'", encrypted('pw'), []],
    ['IV is required to decrypt secret', { ...encrypted('pw'), iv: undefined }, [key]],
    ['IV should be 16 bytes in length not 3', { ...encrypted('pw'), iv: 'AAAA' }, [key]],
    ['Key should be 32 bytes in length', encrypted('pw'), [{ id: 'k', data: 'short' }]],
    ['Length 2 must be a multiple of block size 16', { ...encrypted('pw'), data: 'cHc=' }, [key]],
    ['Incorrect number of padding bytes (122) found on decrypted data', encrypted('z'.repeat(16), false), [key]],
    ['Incorrect number of padding bytes (0) found on decrypted data', { ...encrypted('pw'), data: '' }, [key]],
    ['Secrets are encrypted with each other: s -> k -> s', encrypted('pw'), [{ ...key, keyid: 's', iv: 'AAAA' }, encrypted('pw')]],
  ])('refused: %s', async (message, definition, others) => {
    await expect(resolve(definition, ...others)).rejects.toMatchObject({ name: 'BlockError', message })
  })

  test('at once, and each file read one time', () => {
    const read: string[] = []
    const readFile = (file: string): Uint8Array => {
      read.push(file)
      return Buffer.from(FILES[file]!)
    }
    expect(Buffer.from(resolveSecretSync({ id: 's', file: 'base64', format: 'base64' }, new Map(), readFile)).toString()).toBe('pw')
    expect(read).toEqual(['base64'])
    expect(() => resolveSecretSync({ id: 's', file: 'missing' }, new Map(), () => { throw new Error('gone') })).toThrow('Unable to read missing: gone')
  })

  test('a passphrase is text', () => {
    const good = new TextEncoder().encode('äöü')
    expect(checkPassphrase('s', good)).toBe(good)
    for (const bad of [[0xff], [0x70, 0], [0xc3]]) expect(() => checkPassphrase('sec0', Uint8Array.from(bad))).toThrow('Data from secret sec0 is not valid UTF-8')
  })
})
