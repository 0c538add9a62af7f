import { protocolCases, type ProtocolFixture, register } from '@blockloom/driver-testkit'
import { describe, it } from 'vitest'
import { acme } from '@blockloom/protocol-acme'

const fixture = (): ProtocolFixture => ({
  driver: acme,
  facets: ['extents'],
  keeps: 'nothing',
  make: async (content) => ({ size: content.length }),
})

register(protocolCases(), fixture, { describe, it })
