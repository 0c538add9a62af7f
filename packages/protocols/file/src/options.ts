import { option } from '@blockloom/block-driver'

/** Options of an opened file, as QAPI `BlockdevOptionsFile` names them. @internal */
export const fileOptions = {
  filename: option.string('File name on the host', { required: true }),
  locking: option.choice(['on', 'off', 'auto'], 'Image locks: other processes cannot use the file in conflicting ways; auto: where the host has them', {
    default: 'auto',
    reopen: true,
  }),
  aio: option.choice(['threads'], 'How requests that would block are done', { default: 'threads' }),
  cache: option.object(
    {
      direct: option.boolean('Bypass the host page cache (O_DIRECT)', { default: false, reopen: true }),
      'no-flush': option.boolean('Ignore flush requests: data is lost if the host fails', { default: false, reopen: true }),
    },
    'How the host caches',
  ),
}

/** Options of a new file. @internal */
export const fileCreateOptions = {
  filename: option.string('File name on the host', { required: true }),
  size: option.size('Virtual disk size', { default: 0 }),
  nocow: option.boolean('Turn off copy-on-write (valid only on btrfs)'),
  preallocation: option.choice(['off', 'falloc', 'full'], 'Preallocation mode (allowed values: off, falloc, full)', { default: 'off' }),
  extent_size_hint: option.size('Extent size hint for the image file, 0 to disable'),
}
