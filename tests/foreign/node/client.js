// A client of Later for Node: creates an instance, follows all changes, comes back when the server
// goes away, and aborts the instance once it has heard of one that is called "go-on".
//
//   node client.js 127.0.0.1:9081 later.protoset
//
// The second word is a file of descriptors, which any server gives away:
//
//   grpcurl -plaintext -protoset-out later.protoset 127.0.0.1:9081 describe later.v1.InstanceService
"use strict";

const fs = require("node:fs");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const [address, protoset] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(protoset), {
  longs: String,
  enums: String,
  defaults: true,
});
// Fields are called as in later.proto.
const { later } = grpc.loadPackageDefinition(definition);

// Creates carry an id, so that gRPC may repeat them; an abort is sent once.
const serviceConfig = {
  methodConfig: [
    {
      name: [
        { service: "later.v1.InstanceService", method: "CreateInstance" },
        { service: "later.v1.InstanceService", method: "GetInstance" },
      ],
      retryPolicy: {
        maxAttempts: 3,
        initialBackoff: "0.1s",
        maxBackoff: "1s",
        backoffMultiplier: 3,
        retryableStatusCodes: ["UNAVAILABLE", "CANCELLED"],
      },
    },
  ],
};
const client = new later.v1.InstanceService(address, grpc.credentials.createInsecure(), {
  "grpc.service_config": JSON.stringify(serviceConfig),
  "grpc.max_reconnect_backoff_ms": 1000,
});

function call(method, request) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 10_000;
    client[method](request, { deadline }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

// Calls `told` with each event, in order and without a repeat, however often the stream breaks.
async function follow(told) {
  let token = "";
  for (;;) {
    const stream = client.WatchInstances({ resume_token: token });
    try {
      for await (const { events, resume_token } of stream) {
        if (!events.length) console.log(token ? "bookmark" : "watching");
        for (const event of events) if ((await told(event)) === "enough") return;
        token = resume_token || token;
      }
    } catch (error) {
      if (error.code !== grpc.status.UNAVAILABLE || !token) throw error;
      console.log("broken");
    } finally {
      stream.cancel();
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function main() {
  await follow(async ({ type, instance }) => {
    if (type === "EVENT_TYPE_RESYNC") throw new Error("changes were missed: read anew");
    console.log(`${type} ${instance.id} ${instance.state} ${instance.revision}`);
    if (instance.id === "go-on") await call("AbortInstance", { id: "from-node" });
    return instance.state === "STATE_ABORTED" ? "enough" : "";
  });
  client.close();
}

call("CreateInstance", {
  id: "from-node",
  task: "echo",
  parameters: Buffer.from('{"message": "hello"}'),
  delay: { seconds: 3600 },
})
  .then(main)
  .catch((error) => {
    console.error(String(error));
    process.exitCode = 1;
  });
