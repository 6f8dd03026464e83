// Confluent's client for Node.js against a registry; run by test_clients.py with the Node.js of tests/fetch.
// What it is asked is described in confluent_client.py.
'use strict';
const assert = require('node:assert');
const { access, main } = require('./task');
const { AvroDeserializer, AvroSerializer, Compatibility, SchemaRegistryClient, SerdeType } = require('@confluentinc/schemaregistry');

function clientOf() {
  return new SchemaRegistryClient({
    baseURLs: [access.url], maxRetries: 0,
    basicAuthCredentials: { credentialsSource: 'USER_INFO', userInfo: `${access.user}:${access.password}` },
  });
}

const A = { name: 'a', type: 'int' };
const B = { name: 'b', type: ['null', 'string'], default: null };
const avro = (name, ...fields) => ({ schemaType: 'AVRO', schema: JSON.stringify({ type: 'record', name, fields }) });

async function refused(promise, status, code) {
  try {
    await promise;
  } catch (error) {
    assert.deepStrictEqual([error.status, error.errorCode], [status, code], String(error));
    return;
  }
  assert.fail(`${code} expected`);
}

const steps = {
  async registerAndLookUp(client, stem) {
    const subject = `${stem}-js-register-value`;
    const one = await client.register(subject, avro('R', A));
    assert.strictEqual(await clientOf().register(subject, avro('R', A)), one);
    const two = await client.registerFullResponse(subject, avro('R', A, B));
    assert.deepStrictEqual(await client.getAllVersions(subject), [1, 2]);
    assert.ok((await client.getAllSubjects()).includes(subject));
    assert.strictEqual(await clientOf().getId(subject, avro('R', A)), one);
    assert.strictEqual(await clientOf().getVersion(subject, avro('R', A)), 1);
    assert.deepStrictEqual(JSON.parse((await clientOf().getBySubjectAndId(subject, one)).schema), JSON.parse(avro('R', A).schema));
    assert.strictEqual((await client.getLatestSchemaMetadata(subject)).id, two.id);
    assert.strictEqual((await client.getSchemaMetadata(subject, 1)).id, one);
    await refused(client.register(subject, { schemaType: 'AVRO', schema: '{"type":"strng"}' }), 422, 42201);
    await refused(client.getLatestSchemaMetadata(`${stem}-nobody`), 404, 40401);
    await refused(clientOf().getId(subject, avro('Other')), 404, 40403);
  },

  async compatibility(client, stem) {
    const subject = `${stem}-js-compat-value`;
    const wrong = avro('R', { name: 'a', type: 'string' });
    await client.register(subject, avro('R', A));
    assert.strictEqual(await client.testSubjectCompatibility(subject, avro('R', A, B)), true);
    assert.strictEqual(await client.testSubjectCompatibility(subject, wrong), false);
    assert.strictEqual(await client.testCompatibility(subject, 1, wrong), false);
    await refused(client.register(subject, wrong), 409, 409);
    assert.strictEqual(await client.updateCompatibility(subject, Compatibility.NONE), 'NONE');
    assert.strictEqual(await client.getCompatibility(subject), 'NONE');
    await client.register(subject, wrong);
    await client.updateConfig(subject, { compatibility: 'FULL' });
    assert.strictEqual((await client.getConfig(subject)).compatibilityLevel, 'FULL');
    assert.ok(await client.getDefaultCompatibility());
  },

  async references(client, stem) {
    const inner = `${stem}-js-inner-value`, outer = `${stem}-js-outer-value`;
    await client.register(inner, { schemaType: 'AVRO', schema: '{"type":"record","name":"n.Inner","fields":[{"name":"a","type":"int"}]}' });
    const schema = { ...avro('Outer', { name: 'i', type: 'n.Inner' }), references: [{ name: 'n.Inner', subject: inner, version: 1 }] };
    const id = await client.register(outer, schema);
    assert.strictEqual((await clientOf().getBySubjectAndId(outer, id)).references[0].subject, inner);
    await refused(client.deleteSubject(inner), 422, 42206);
    const data = await new AvroSerializer(client, SerdeType.VALUE, { useLatestVersion: true, autoRegisterSchemas: false })
      .serialize(`${stem}-js-outer`, { i: { a: 7 } });
    assert.strictEqual(data.readUInt32BE(1), id);
    const read = await new AvroDeserializer(clientOf(), SerdeType.VALUE, {}).deserialize(`${stem}-js-outer`, data);
    assert.deepStrictEqual(JSON.parse(JSON.stringify(read)), { i: { a: 7 } });
  },

  async serialise(client, stem) {
    const topic = `${stem}-js-topic`;
    const closed = new AvroSerializer(client, SerdeType.VALUE, { useLatestVersion: true, autoRegisterSchemas: false });
    await assert.rejects(closed.serialize(topic, { a: 1 }));
    const id = await client.register(`${topic}-value`, avro('R', A));
    client.clearCaches();
    const data = await closed.serialize(topic, { a: 1 });
    assert.strictEqual(data.toString('hex'), `00${id.toString(16).padStart(8, '0')}02`);
  },

  async deletion(client, stem) {
    const subject = `${stem}-js-delete-value`;
    await client.register(subject, avro('R', A));
    await client.register(subject, avro('R', A, B));
    assert.strictEqual(await client.deleteSubjectVersion(subject, 1, false), 1);
    assert.deepStrictEqual(await client.getAllVersions(subject), [2]);
    assert.strictEqual(await client.deleteSubjectVersion(subject, 1, true), 1);
    assert.deepStrictEqual(await client.deleteSubject(subject, false), [2]);
    assert.deepStrictEqual(await client.deleteSubject(subject, true), [2]);
    await refused(client.getAllVersions(subject), 404, 40401);
  },

  async metadata(client, stem) {
    const subject = `${stem}-js-meta-value`;
    const one = await client.register(subject, { ...avro('R', A), metadata: { properties: { owner: 'bob' } } });
    await client.register(subject, { ...avro('R', A, B), metadata: { properties: { owner: 'eve' } } });
    assert.strictEqual((await client.getLatestWithMetadata(subject, { owner: 'bob' })).id, one);
  },
};

async function write(client, task) {
  await client.register(`${task.topic}-value`, { schemaType: 'AVRO', schema: task.schema });
  const serializer = new AvroSerializer(client, SerdeType.VALUE, { useLatestVersion: true, autoRegisterSchemas: false });
  const made = [];
  for (const value of task.values) made.push(await serializer.serialize(task.topic, value));
  return made;
}

const read = (client, task, data) => new AvroDeserializer(client, SerdeType.VALUE, {}).deserialize(task.topic, data);

main({ clientOf, steps, write, read });
