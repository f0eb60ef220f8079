// Drives KafkaJS (a client in pure JavaScript) against the broker that the only argument names.
'use strict'

const assert = require('node:assert/strict')
const { randomBytes, randomUUID } = require('node:crypto')
const { setTimeout: pause } = require('node:timers/promises')
const {
  AssignerProtocol,
  CompressionCodecs,
  CompressionTypes,
  ConfigResourceTypes,
  Kafka,
  logLevel,
} = require('kafkajs')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

// How long anything may take before a check fails.
const PATIENCE_MS = 120_000
const DAY_MS = 86_400_000
const LARGEST = 8_388_608
// KafkaJS itself has gzip only. Its codecs for zstd and lz4 are native code, and lz4js writes frames
// that Apache Kafka refuses.
const CODECS = ['None', 'GZIP', 'Snappy']

const brokers = process.argv[2].split(',')
const kafka = new Kafka({ clientId: 'kadr-kafkajs', brokers, logLevel: logLevel.NOTHING })
const admin = kafka.admin()
const topic = unique('kafkajs')

function unique(purpose) {
  return `t-${purpose}-${randomUUID().slice(0, 13)}`
}

async function check(what, steps) {
  const late = pause(PATIENCE_MS, null, { ref: false }).then(() => {
    throw new Error(`not done in ${PATIENCE_MS} ms`)
  })
  try {
    await Promise.race([steps(), late])
  } catch (error) {
    console.log(error)
    console.log(`FAILED  ${what}`)
    process.exit(1)
  }
  console.log(`ok      ${what}`)
}

async function until(condition) {
  while (!(await condition())) await pause(50)
}

async function failsWith(types, action) {
  await assert.rejects(action, (error) => {
    const inner = [error, error.cause, ...(error.errors ?? [])].filter(Boolean)
    assert(
      inner.some((one) => types.includes(one.type)),
      `another error than ${types}: ${error.stack}`,
    )
    return true
  })
}

async function settings() {
  const resource = { type: ConfigResourceTypes.TOPIC, name: topic }
  const { resources } = await admin.describeConfigs({ resources: [resource], includeSynonyms: false })
  return Object.fromEntries(resources[0].configEntries.map((one) => [one.configName, one.configValue]))
}

async function partitions(name) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [name] })
  return topics[0].partitions.length
}

async function produce({ partition, messages, compression = 'None', to = topic, ...options }) {
  const producer = kafka.producer({ maxInFlightRequests: 1, ...options })
  await producer.connect()
  try {
    const [answer] = await producer.send({
      topic: to,
      acks: -1,
      compression: CompressionTypes[compression],
      messages: messages.map((message) => ({ partition, ...message })),
    })
    return Number(answer.baseOffset)
  } finally {
    await producer.disconnect()
  }
}

// KafkaJS reads in groups only: this one belongs to a single reading.
async function read({ partition, offset, count }) {
  const group = unique('reader')
  const consumer = kafka.consumer({ groupId: group, maxBytesPerPartition: 1_000_000, maxWaitTimeInMs: 200 })
  const found = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition: from, message }) => {
      if (from === partition && Number(message.offset) >= offset) found.push(message)
    },
  })
  consumer.seek({ topic, partition, offset: String(offset) })
  await until(() => found.length >= count)
  await consumer.disconnect()
  await admin.deleteGroups([group])
  // A fetch under way when the reader moves may bring records twice.
  const seen = new Map(found.map((message) => [Number(message.offset), message]))
  return [...seen.values()].sort((a, b) => Number(a.offset) - Number(b.offset)).slice(0, count)
}

async function topics() {
  await check('the cluster has nodes and a controller', async () => {
    const cluster = await admin.describeCluster()
    assert(cluster.clusterId && cluster.controller !== null && cluster.brokers.length > 0)
  })
  await check('a topic is made with its settings', async () => {
    const wanted = { 'max.message.bytes': String(LARGEST), 'retention.ms': String(DAY_MS) }
    const configEntries = Object.entries(wanted).map(([name, value]) => ({ name, value }))
    const made = await admin.createTopics({
      topics: [{ topic, numPartitions: 2, replicationFactor: 1, configEntries }],
      waitForLeaders: true,
    })
    assert.equal(made, true)
    assert.equal(await partitions(topic), 2)
    const found = await settings()
    for (const [name, value] of Object.entries(wanted)) assert.equal(found[name], value)
  })
  await check('the topic is listed', async () => {
    assert((await admin.listTopics()).includes(topic))
  })
  await check('a topic of the same name is not made again', async () => {
    assert.equal(await admin.createTopics({ topics: [{ topic }] }), false)
  })
  await check('a topic with a bad name is refused', async () => {
    await failsWith(['INVALID_TOPIC_EXCEPTION'], () => admin.createTopics({ topics: [{ topic: 'bad name!' }] }))
  })
  await check('settings are altered', async () => {
    // This request sets all of them anew.
    const configEntries = [
      { name: 'retention.ms', value: String(2 * DAY_MS) },
      { name: 'max.message.bytes', value: String(LARGEST) },
    ]
    const resources = [{ type: ConfigResourceTypes.TOPIC, name: topic, configEntries }]
    await admin.alterConfigs({ validateOnly: false, resources })
    await until(async () => (await settings())['retention.ms'] === String(2 * DAY_MS))
    assert.equal((await settings())['max.message.bytes'], String(LARGEST))
  })
  await check('partitions are added', async () => {
    await admin.createPartitions({ topicPartitions: [{ topic, count: 4 }] })
    await until(async () => (await partitions(topic)) === 4)
  })
  await check('partitions are not taken away', async () => {
    const fewer = () => admin.createPartitions({ topicPartitions: [{ topic, count: 3 }] })
    await failsWith(['INVALID_PARTITIONS'], fewer)
  })
}

// With and without keys, values and headers.
function messages() {
  return [
    { key: 'key', value: 'value', headers: { a: ['1', '2'], empty: '' } },
    { key: null, value: 'no key' },
    { key: 'no value', value: null },
    { key: '', value: '' },
    { key: 'schlüssel', value: 'compressible '.repeat(1000), headers: { ü: 'grün' } },
  ]
}

// As it is sent: text, and no headers where there are none.
function plain({ key, value, headers = {} }) {
  const text = (one) => (Array.isArray(one) ? one.map(text) : one === null ? null : one.toString())
  const entries = Object.entries(headers).map(([name, one]) => [name, text(one)])
  return { key: text(key), value: text(value), headers: Object.fromEntries(entries) }
}

async function producing() {
  for (const compression of CODECS) {
    await check(`records pass unchanged with compression ${compression}`, async () => {
      const offset = await produce({ partition: 0, messages: messages(), compression })
      const found = await read({ partition: 0, offset, count: 5 })
      assert.deepEqual(found.map(plain), messages().map(plain))
    })
  }
  await check('batches of all compressions are read in one go', async () => {
    const found = await read({ partition: 0, offset: 0, count: 5 * CODECS.length })
    assert.deepEqual(found.map(plain), CODECS.flatMap(messages).map(plain))
  })
  await check("an idempotent producer's records are there once and in order", async () => {
    const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
    await producer.connect()
    for (let batch = 0; batch < 20; batch += 1) {
      const batchOfOrdered = Array.from({ length: 50 }, (_, n) => ({ partition: 1, value: `${50 * batch + n}` }))
      await producer.send({ topic, acks: -1, messages: batchOfOrdered })
    }
    await producer.disconnect()
    const found = await read({ partition: 1, offset: 0, count: 1000 })
    assert.deepEqual(found.map((one) => one.value.toString()), Array.from({ length: 1000 }, (_, n) => `${n}`))
    assert.equal(Number(found[999].offset), 999)
  })
  await check('records of 1 KB to 5 MB pass unchanged', async () => {
    const sent = [1_000, 100_000, 1_000_000, 5_000_000, 1_000].map((size) => randomBytes(size))
    for (const value of sent) await produce({ partition: 2, messages: [{ value }], compression: 'GZIP' })
    const found = await read({ partition: 2, offset: 0, count: sent.length })
    for (const [index, value] of sent.entries()) assert(value.equals(found[index].value), `record ${index}`)
  })
  await check("a record over the topic's limit is refused", async () => {
    const large = [{ value: randomBytes(LARGEST + 1000) }]
    await failsWith(['MESSAGE_TOO_LARGE'], () => produce({ partition: 2, messages: large }))
  })
}

async function timed() {
  const begin = (Math.floor(Date.now() / 1000) - 3600) * 1000
  await check('offsets are found by time', async () => {
    const sent = Array.from({ length: 100 }, (_, n) => ({ value: `${n}`, timestamp: String(begin + 1000 * n) }))
    await produce({ partition: 3, messages: sent })
    const offsets = await admin.fetchTopicOffsetsByTimestamp(topic, begin + 40_000 - 500)
    assert.equal(offsets.find((one) => one.partition === 3).offset, '40')
  })
  await check('reading from a time starts at its record', async () => {
    const found = await read({ partition: 3, offset: 40, count: 60 })
    assert.deepEqual(found.map((one) => Number(one.timestamp)), Array.from({ length: 60 }, (_, n) => begin + 1000 * (n + 40)))
  })
  await check('the ends of a partition are known', async () => {
    const { low, high } = (await admin.fetchTopicOffsets(topic)).find((one) => one.partition === 3)
    assert.deepEqual({ low, high }, { low: '0', high: '100' })
  })
}

// A member of a group, which notes what it was given and what it read.
async function member(groupId, of) {
  const consumer = kafka.consumer({ groupId, sessionTimeout: 10_000, heartbeatInterval: 500, maxWaitTimeInMs: 200 })
  const self = { consumer, owned: [], read: [] }
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    self.owned = payload.memberAssignment[of] ?? []
  })
  await consumer.connect()
  await consumer.subscribe({ topic: of, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => self.read.push(`${partition}:${message.offset}`),
  })
  return self
}

async function consuming() {
  const of = unique('grouped')
  const groupId = unique('group')
  await admin.createTopics({ topics: [{ topic: of, numPartitions: 4, replicationFactor: 1 }], waitForLeaders: true })
  const fill = async () => {
    for (const partition of [0, 1, 2, 3]) {
      await produce({ partition, to: of, messages: Array.from({ length: 25 }, () => ({ value: 'x' })) })
    }
  }
  const committed = async () => {
    const [answer] = await admin.fetchOffsets({ groupId, topics: [of] })
    return answer.partitions.sort((a, b) => a.partition - b.partition).map((one) => one.offset)
  }
  await fill()
  const first = await member(groupId, of)
  const second = await member(groupId, of)
  await check('two members share the partitions', async () => {
    await until(() => first.owned.length === 2 && second.owned.length === 2)
    assert.deepEqual([...first.owned, ...second.owned].sort(), [0, 1, 2, 3])
  })
  await check('the two read every record', async () => {
    await until(() => new Set([...first.read, ...second.read]).size === 100)
    // A partition that changed hands may have been read without a commit, and is then read again.
    await until(async () => (await committed()).every((offset) => offset === '25'))
  })
  await check('the group is listed and described with its members', async () => {
    assert((await admin.listGroups()).groups.some((one) => one.groupId === groupId))
    const [group] = (await admin.describeGroups([groupId])).groups
    assert.equal(group.state, 'Stable')
    assert.equal(group.members.length, 2)
    const assigned = group.members.flatMap((one) => AssignerProtocol.MemberAssignment.decode(one.memberAssignment).assignment[of])
    assert.deepEqual(assigned.sort(), [0, 1, 2, 3])
  })
  await check('a group with members is not deleted', async () => {
    await assert.rejects(admin.deleteGroups([groupId]), (error) => error.groups[0].error.type === 'NON_EMPTY_GROUP')
  })
  await check('what a member leaves goes to the other', async () => {
    await second.consumer.disconnect()
    await until(() => first.owned.length === 4)
    await first.consumer.disconnect()
  })
  await check('a member that comes back resumes at the commit', async () => {
    await fill()
    const again = await member(groupId, of)
    await until(() => again.read.length >= 100)
    const expected = [0, 1, 2, 3].flatMap((partition) => Array.from({ length: 25 }, (_, n) => `${partition}:${n + 25}`))
    assert.deepEqual(again.read.sort(), expected.sort())
    await again.consumer.disconnect()
  })
  await check("the group's commits are listed and set", async () => {
    assert.deepEqual(await committed(), ['50', '50', '50', '50'])
    const seven = [0, 1, 2, 3].map((partition) => ({ partition, offset: '7' }))
    await admin.setOffsets({ groupId, topic: of, partitions: seven })
    assert.deepEqual(await committed(), ['7', '7', '7', '7'])
  })
  await check('an empty group is deleted', async () => {
    await admin.deleteGroups([groupId])
    assert(!(await admin.listGroups()).groups.some((one) => one.groupId === groupId))
  })
  await admin.deleteTopics({ topics: [of] })
}

async function deleting() {
  await check('records are deleted up to an offset', async () => {
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 1, offset: '500' }] })
    const { low } = (await admin.fetchTopicOffsets(topic)).find((one) => one.partition === 1)
    assert.equal(low, '500')
    const [oldest] = await read({ partition: 1, offset: 0, count: 1 })
    assert.equal(oldest.value.toString(), '500')
  })
  await check('an unknown topic is an error', async () => {
    const unknown = unique('unknown')
    const missing = ['UNKNOWN_TOPIC_OR_PARTITION']
    const retry = { retries: 1 }
    await failsWith(missing, () => produce({ partition: 0, to: unknown, messages: [{ value: 'lost' }], retry }))
    await failsWith(missing, () => admin.deleteTopics({ topics: [unknown] }))
    await failsWith(missing, () => admin.fetchTopicMetadata({ topics: [unknown] }))
  })
  await check('the topic is deleted', async () => {
    await admin.deleteTopics({ topics: [topic] })
    await until(async () => !(await admin.listTopics()).includes(topic))
  })
}

async function main() {
  await admin.connect()
  await topics()
  await producing()
  await timed()
  await consuming()
  await deleting()
  await admin.disconnect()
  console.log('all checks passed')
}

main().catch((error) => {
  console.log(error)
  process.exit(1)
})
