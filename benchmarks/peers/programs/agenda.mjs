// Agenda with its MongoDB back end: adds jobs, or runs them.

import { closeSync, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

// Ends once the caller is gone, however it went.
process.stdin.on('end', () => process.exit(1)).resume();

const wanted = JSON.parse(process.argv.at(-1));
// The packages live in the cache, not beside this file.
const require = createRequire(`${wanted.environment}/package.json`);
const load = async name => import(pathToFileURL(require.resolve(name)));
const { Agenda } = await load('agenda');
const { MongoBackend } = await load('@agendajs/mongo-backend');
const { MongoClient } = await load('mongodb');

// Date.now() is cut to milliseconds; where the finer clock is behind it, it has drifted.
const now = () => Math.max(Date.now(), performance.timeOrigin + performance.now()) / 1e3;

const client = await MongoClient.connect(wanted.uri);
const agenda = new Agenda({
	backend: new MongoBackend({ mongo: client.db(wanted.database) }),
	processEvery: wanted.processEvery,
	maxConcurrency: wanted.concurrency,
	defaultConcurrency: wanted.concurrency,
	removeOnComplete: wanted.removeOnComplete,
	...(wanted.recovery === null ? {} : { defaultLockLifetime: wanted.recovery * 1000 })
});
agenda.on('error', error => process.stderr.write(`${error.stack}\n`));

async function add({ count, due_ms, per_second, first_index, payload }) {
	await agenda.ready;
	const apart = per_second ? 1e3 / per_second : 0;
	let at = 0;
	const addSome = async () => {
		while (at < count) {
			const index = first_index + at;
			const due = Math.trunc(due_ms + at * apart);
			at += 1;
			await agenda.schedule(new Date(due), 'job', { index, due, payload });
		}
	};
	const began = performance.now();
	await Promise.all(Array.from({ length: wanted.inFlight }, addSome));
	return (performance.now() - began) / 1e3;
}

async function run() {
	const starts = openSync(wanted.starts, 'a');
	process.on('exit', () => closeSync(starts));
	agenda.define('job', async job => {
		const began = now();
		const { index, due } = job.attrs.data;
		writeSync(starts, `s ${index} ${(due / 1e3).toFixed(3)} ${began.toFixed(6)}\n`);
	});
	agenda.on('complete', job => {
		writeSync(starts, `d ${job.attrs.data.index} ${now().toFixed(6)}\n`);
	});
	await agenda.start();
	process.stdout.write('ready\n');
}

if (wanted.do === 'add') {
	const seconds = await add(wanted.jobs);
	process.stdout.write(`${JSON.stringify({ seconds })}\n`);
	await client.close();
	process.exit(0);
} else {
	await run();
}
