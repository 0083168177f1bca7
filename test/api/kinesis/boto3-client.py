# boto3-client.py ENDPOINT: what a Python user does with a stream; prints what came back as JSON.
import json
import sys

import boto3

client = boto3.client(
    "kinesis",
    endpoint_url=sys.argv[1],
    region_name="eu-west-3",
    aws_access_key_id=sys.argv[2],
    aws_secret_access_key=sys.argv[3],
)
client.create_stream(StreamName="py", ShardCount=1)
client.get_waiter("stream_exists").wait(StreamName="py", WaiterConfig={"Delay": 1})
arn = client.describe_stream_summary(StreamName="py")["StreamDescriptionSummary"]["StreamARN"]
client.put_records(
    StreamARN=arn, Records=[{"Data": f"r{i}".encode(), "PartitionKey": "k"} for i in range(5)]
)
shard = client.list_shards(StreamARN=arn)["Shards"][0]["ShardId"]
iterator = client.get_shard_iterator(
    StreamARN=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
)["ShardIterator"]
read = client.get_records(ShardIterator=iterator)
consumer = client.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]
stream = client.subscribe_to_shard(
    ConsumerARN=consumer["ConsumerARN"],
    ShardId=shard,
    StartingPosition={"Type": "TRIM_HORIZON"},
)["EventStream"]
event = next(iter(stream))["SubscribeToShardEvent"]
stream.close()
try:
    client.describe_stream(StreamName="none")
except client.exceptions.ResourceNotFoundException as error:
    refused = error.response["Error"]["Message"]
print(
    json.dumps(
        {
            "polled": [record["Data"].decode() for record in read["Records"]],
            "pushed": [record["Data"].decode() for record in event["Records"]],
            "behind": event["MillisBehindLatest"],
            "refused": refused,
        }
    )
)
