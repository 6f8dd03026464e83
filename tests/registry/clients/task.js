// What the clients for Node.js share: the tasks of test_clients.py (see confluent_client.py) and the values in them.
'use strict';
const fs = require('node:fs');

const access = JSON.parse(fs.readFileSync(0, 'utf8'));

// Bytes come and go as {"hex": "00ff"}.
function fromJson(value) {
  if (Array.isArray(value)) return value.map(fromJson);
  if (value === null || typeof value !== 'object') return value;
  if (Object.keys(value).join() === 'hex') return Buffer.from(value.hex, 'hex');
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fromJson(item)]));
}

function toJson(value) {
  if (Buffer.isBuffer(value)) return { hex: value.toString('hex') };
  if (Array.isArray(value)) return value.map(toJson);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toJson(item)]));
}

async function tour(steps, client, stem) {
  for (const [name, step] of Object.entries(steps)) {
    await step(client, stem).catch((error) => { error.message = `${name}: ${error.message}`; throw error; });
  }
  return Object.keys(steps);
}

// `doers`: clientOf(), steps, write(client, task), which gives buffers, and read(client, task, buffer).
async function perform(doers, task) {
  const client = doers.clientOf();
  if (task.do === 'tour') return tour(doers.steps, client, task.stem);
  if (task.do === 'write') {
    const made = await doers.write(client, { ...task, values: task.values.map(fromJson) });
    return made.map((one) => one.toString('hex'));
  }
  const found = [];
  for (const one of task.data) found.push(toJson(await doers.read(client, task, Buffer.from(one, 'hex'))));
  return found;
}

async function performAll(doers) {
  const results = [];
  for (const task of access.tasks) results.push(await perform(doers, task));
  return results;
}

function main(doers) {
  performAll(doers).then((results) => { console.log(JSON.stringify(results)); process.exit(0); },
    (error) => { console.error(error); process.exit(1); });
}

module.exports = { access, main };
