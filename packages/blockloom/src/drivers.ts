import { qcow2 } from '@blockloom/format-qcow2'
import { raw } from '@blockloom/format-raw'
import { file } from '@blockloom/protocol-file'
import { memory } from '@blockloom/protocol-memory'
import { nullAio, nullCo } from '@blockloom/protocol-null'

/** Every driver that runs in Node, for {@link createGraph}. @public */
export const allDrivers = [qcow2, raw, file, memory, nullCo, nullAio] as const
