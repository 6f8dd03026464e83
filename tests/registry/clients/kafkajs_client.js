// @kafkajs/confluent-schema-registry against a registry; run by test_clients.py with the Node.js of tests/fetch.
// What it is asked is described in confluent_client.py.
'use strict';
const assert = require('node:assert');
const fs = require('node:fs');
const { SchemaRegistry, SchemaType, COMPATIBILITY } = require('@kafkajs/confluent-schema-registry');

const access = JSON.parse(fs.readFileSync(0, 'utf8'));
let task; // the one of access.tasks that is being done
const clientOf = () => new SchemaRegistry({ host: access.url, auth: { username: access.user, password: access.password }, retry: { retries: 0 } });

const avro = (name, ...fields) => ({ type: SchemaType.AVRO, schema: JSON.stringify({ type: 'record', name, fields }) });
const A = { name: 'a', type: 'int' };
const B = { name: 'b', type: ['null', 'string'], default: null };

async function refused(promise, status) {
  try {
    await promise;
  } catch (error) {
    assert.strictEqual(error.status, status, String(error));
    return;
  }
  assert.fail(`${status} expected`);
}

const steps = {
  async registerAndLookUp(client) {
    const subject = `${task.stem}-kjs-value`;
    const one = await client.register(avro('R', A), { subject });
    assert.deepStrictEqual(await clientOf().register(avro('R', A), { subject }), one);
    const two = await client.register(avro('R', A, B), { subject });
    assert.strictEqual(await client.getRegistryId(subject, 1), one.id);
    assert.strictEqual(await client.getLatestSchemaId(subject), two.id);
    assert.strictEqual(await client.getRegistryIdBySchema(subject, avro('R', A)), one.id);
    await refused(client.getLatestSchemaId(`${task.stem}-nobody`), 404);
    await refused(clientOf().getSchema(2147483647), 404);
  },

  async compatibility(client) {
    const subject = `${task.stem}-kjs-full-value`;
    await client.register(avro('R', A), { subject, compatibility: COMPATIBILITY.FULL });
    await refused(client.register(avro('R', { name: 'a', type: 'long' }), { subject, compatibility: COMPATIBILITY.FULL }), 409);
  },

  async references(client) {
    const inner = `${task.stem}-kjs-inner-value`, subject = `${task.stem}-kjs-outer-value`;
    await client.register({ type: SchemaType.AVRO, schema: '{"type":"record","name":"n.Inner","fields":[{"name":"a","type":"int"}]}' },
      { subject: inner });
    const { id } = await client.register({ ...avro('Outer', { name: 'i', type: 'n.Inner' }),
      references: [{ name: 'n.Inner', subject: inner, version: 1 }] }, { subject });
    const data = await clientOf().encode(id, { i: { a: 7 } });
    assert.strictEqual(data.toString('hex'), `00${id.toString(16).padStart(8, '0')}0e`);
    assert.deepStrictEqual(JSON.parse(JSON.stringify(await clientOf().decode(data))), { i: { a: 7 } });
  },

  async readsOldDataWithANewSchema(client) {
    const subject = `${task.stem}-kjs-evolve-value`;
    const { id } = await client.register(avro('R', A), { subject });
    const data = await client.encode(id, { a: 1 });
    const read = await clientOf().decode(data, { [SchemaType.AVRO]: { readerSchema: JSON.parse(avro('R', A, B).schema) } });
    assert.deepStrictEqual(JSON.parse(JSON.stringify(read)), { a: 1, b: null });
  },
};

const fromJson = (value) => {
  if (Array.isArray(value)) return value.map(fromJson);
  if (value === null || typeof value !== 'object') return value;
  if (Object.keys(value).join() === 'hex') return Buffer.from(value.hex, 'hex');
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromJson(item)]));
};
const toJson = (value) => {
  if (Buffer.isBuffer(value)) return { hex: value.toString('hex') };
  if (Array.isArray(value)) return value.map(toJson);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
};

async function perform() {
  const client = clientOf();
  if (task.do === 'tour') {
    for (const [name, step] of Object.entries(steps)) {
      await step(client).catch((error) => { error.message = `${name}: ${error.message}`; throw error; });
    }
    return Object.keys(steps);
  }
  if (task.do === 'write') {
    const { id } = await client.register({ type: SchemaType.AVRO, schema: task.schema }, { subject: `${task.topic}-value` });
    const made = [];
    for (const value of task.values) made.push((await client.encode(id, fromJson(value))).toString('hex'));
    return made;
  }
  const read = [];
  for (const one of task.data) read.push(toJson(await client.decode(Buffer.from(one, 'hex'))));
  return read;
}

async function main() {
  const results = [];
  for (task of access.tasks) results.push(await perform());
  return results;
}

main().then((result) => { console.log(JSON.stringify(result)); process.exit(0); },
  (error) => { console.error(error); process.exit(1); });
