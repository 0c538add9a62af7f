import { constants } from 'node:os'
import { describe, expect, test } from 'vitest'
import { errnoOf, hostError, MEANINGS, systemError } from '../src/errno.ts'

const failure = (code: string) => Object.assign(new Error(code), { code, errno: -(constants.errno as Record<string, number>)[code]! })

describe('errors of the host', () => {
  test.each([
    ['ENOENT', 'not-found', 'No such file or directory'],
    ['ENOTDIR', 'not-found', 'Not a directory'],
    ['EACCES', 'denied', 'Permission denied'],
    ['EPERM', 'denied', 'Operation not permitted'],
    ['EROFS', 'read-only', 'Read-only file system'],
    ['EISDIR', 'invalid', 'Is a directory'],
    ['EINVAL', 'invalid', 'Invalid argument'],
    ['ENAMETOOLONG', 'invalid', 'File name too long'],
    ['EBUSY', 'busy', 'Device or resource busy'],
    ['ETXTBSY', 'busy', 'Text file busy'],
    ['EEXIST', 'exists', 'File exists'],
    ['ENOSPC', 'no-space', 'No space left on device'],
    ['EDQUOT', 'no-space', 'Disk quota exceeded'],
    ['EFBIG', 'range', 'File too large'],
    ['ENOTSUP', 'unsupported', 'Operation not supported'],
    ['EBADF', 'closed', 'Bad file descriptor'],
    ['EIO', 'io', 'Input/output error'],
  ])('%s is %s', (errno, code, text) => {
    const cause = failure(errno)
    const error = hostError(cause, "Could not open 'x'", { filename: 'x' })
    expect(error).toMatchObject({ code, errno, message: `Could not open 'x': ${text}`, detail: { filename: 'x' } })
    expect(error.cause).toBe(cause)
  })

  test('one that is not in the table is io, with its own name and words', () => {
    expect(hostError(failure('ECONNRESET'), 'x')).toMatchObject({ code: 'io', errno: 'ECONNRESET', message: expect.stringMatching(/^x: .*reset/) })
    expect(hostError(new Error('boom'), 'x')).toMatchObject({ code: 'io', errno: 'EIO', message: 'x: boom' })
    expect(hostError(null, 'x')).toMatchObject({ code: 'io', errno: 'EIO', message: 'x: Input/output error' })
    expect(errnoOf({ code: 'ERR_INVALID_ARG_TYPE' })).toBeUndefined()
  })

  test('numbers become names', () => {
    expect(systemError('fallocate', constants.errno.ENOSPC)).toMatchObject({ code: 'ENOSPC', syscall: 'fallocate' })
  })

  test('every name in the table is one', () => {
    for (const name of Object.keys(MEANINGS)) if (name !== 'ENOMEDIUM') expect(constants.errno, name).toHaveProperty(name)
  })
})
