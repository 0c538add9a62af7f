import { describe, it } from 'vitest'
import { formatCases, register } from '@blockloom/driver-testkit'
import { toyFixture } from './toy/toy-driver.ts'

register(formatCases(), () => toyFixture(), { describe, it }, 'the correct toy format')
register(formatCases({ seed: 7 }), () => ({ ...toyFixture(), child: { zeroInit: false, requestAlignment: 512 } }), { describe, it }, 'the toy format on a nastier child')
