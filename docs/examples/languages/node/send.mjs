// Sends one usage event for each workspace named: TOLLWAY_BROKERS=host:port node send.mjs acme ...
import { randomUUID } from 'node:crypto'
import { Producer, compatibilityPartitioner, stringSerializers } from '@platformatic/kafka'

const producer = new Producer({
  clientId: 'nightly-report',
  bootstrapBrokers: process.env.TOLLWAY_BROKERS.split(','),
  serializers: stringSerializers,
  idempotent: true,
  // Java's murmur2. The client's own keeps the sign bit and takes other partitions for half the keys.
  partitioner: compatibilityPartitioner
})

function usageEvent (workspace) {
  return {
    // What happened, once: with a provider's response, its name and the response's id.
    source: 'example-node',
    id: randomUUID(),
    time: new Date().toISOString(),
    workspace,
    agent: 'nightly-report',
    provider: 'openai',
    model: 'gpt-4o',
    // Holds the 1000 that came from the cache.
    input_tokens: 1200,
    cache_read_tokens: 1000,
    output_tokens: 350
  }
}

await producer.send({
  messages: process.argv.slice(2).map(workspace => ({
    topic: 'tollway.usage',
    key: workspace,
    value: JSON.stringify(usageEvent(workspace))
  }))
})
await producer.close()
