// @kafkajs/confluent-schema-registry against a registry; run by test_clients.py with the Node.js of tests/fetch.
// What it is asked is described in confluent_client.py.
'use strict';
const assert = require('node:assert');
const { access, main } = require('./task');
const { SchemaRegistry, SchemaType, COMPATIBILITY } = require('@kafkajs/confluent-schema-registry');

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
  async registerAndLookUp(client, stem) {
    const subject = `${stem}-kjs-value`;
    const one = await client.register(avro('R', A), { subject });
    assert.deepStrictEqual(await clientOf().register(avro('R', A), { subject }), one);
    const two = await client.register(avro('R', A, B), { subject });
    assert.strictEqual(await client.getRegistryId(subject, 1), one.id);
    assert.strictEqual(await client.getLatestSchemaId(subject), two.id);
    assert.strictEqual(await client.getRegistryIdBySchema(subject, avro('R', A)), one.id);
    await refused(client.getLatestSchemaId(`${stem}-nobody`), 404);
    await refused(clientOf().getSchema(2147483647), 404);
  },

  async compatibility(client, stem) {
    const subject = `${stem}-kjs-full-value`;
    await client.register(avro('R', A), { subject, compatibility: COMPATIBILITY.FULL });
    await refused(client.register(avro('R', { name: 'a', type: 'long' }), { subject, compatibility: COMPATIBILITY.FULL }), 409);
  },

  async references(client, stem) {
    const inner = `${stem}-kjs-inner-value`, subject = `${stem}-kjs-outer-value`;
    await client.register({ type: SchemaType.AVRO, schema: '{"type":"record","name":"n.Inner","fields":[{"name":"a","type":"int"}]}' },
      { subject: inner });
    const { id } = await client.register({ ...avro('Outer', { name: 'i', type: 'n.Inner' }),
      references: [{ name: 'n.Inner', subject: inner, version: 1 }] }, { subject });
    const data = await clientOf().encode(id, { i: { a: 7 } });
    assert.strictEqual(data.toString('hex'), `00${id.toString(16).padStart(8, '0')}0e`);
    assert.deepStrictEqual(JSON.parse(JSON.stringify(await clientOf().decode(data))), { i: { a: 7 } });
  },

  async readsOldDataWithANewSchema(client, stem) {
    const subject = `${stem}-kjs-evolve-value`;
    const { id } = await client.register(avro('R', A), { subject });
    const data = await client.encode(id, { a: 1 });
    const read = await clientOf().decode(data, { [SchemaType.AVRO]: { readerSchema: JSON.parse(avro('R', A, B).schema) } });
    assert.deepStrictEqual(JSON.parse(JSON.stringify(read)), { a: 1, b: null });
  },
};

async function write(client, task) {
  const { id } = await client.register({ type: SchemaType.AVRO, schema: task.schema }, { subject: `${task.topic}-value` });
  const made = [];
  for (const value of task.values) made.push(await client.encode(id, value));
  return made;
}

main({ clientOf, steps, write, read: (client, task, data) => client.decode(data) });
