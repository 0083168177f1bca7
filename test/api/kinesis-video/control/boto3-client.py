# boto3-client.py ENDPOINT KEY SECRET: what a Python user does with streams and channels; prints what
# came of it as JSON.
import json
import sys

import boto3
from botocore.exceptions import ClientError

client = boto3.client(
    "kinesisvideo",
    endpoint_url=sys.argv[1],
    region_name="eu-west-3",
    aws_access_key_id=sys.argv[2],
    aws_secret_access_key=sys.argv[3],
)
arn = client.create_stream(
    StreamName="py", DataRetentionInHours=2, MediaType="video/h264", Tags={"ort": "größe 水"}
)["StreamARN"]
info = client.describe_stream(StreamName="py")["StreamInfo"]
client.update_data_retention(
    StreamARN=arn,
    CurrentVersion=info["Version"],
    Operation="INCREASE_DATA_RETENTION",
    DataRetentionChangeInHours=1,
)
try:
    client.update_stream(StreamName="py", CurrentVersion=info["Version"], DeviceName="d")
    refused = None
except client.exceptions.VersionMismatchException as error:
    refused = error.response["Error"]["Code"]
pages = client.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1})
names = [stream["StreamName"] for page in pages for stream in page["StreamInfoList"]]
client.create_signaling_channel(ChannelName="c", Tags=[{"Key": "k", "Value": "v"}])
channel = client.describe_signaling_channel(ChannelName="c")["ChannelInfo"]
client.update_image_generation_configuration(
    StreamName="py",
    ImageGenerationConfiguration={
        "Status": "ENABLED",
        "ImageSelectorType": "SERVER_TIMESTAMP",
        "DestinationConfig": {"Uri": "s3://images", "DestinationRegion": "eu-west-3"},
        "SamplingInterval": 1000,
        "Format": "PNG",
    },
)
images = client.describe_image_generation_configuration(StreamName="py")
signaling = boto3.client(
    "kinesis-video-signaling",
    endpoint_url=sys.argv[1],
    region_name="eu-west-3",
    aws_access_key_id=sys.argv[2],
    aws_secret_access_key=sys.argv[3],
)
try:
    signaling.get_ice_server_config(ChannelARN=channel["ChannelARN"])
    ice = None
except ClientError as error:
    ice = error.response["Error"]
storage = boto3.client(
    "kinesis-video-webrtc-storage",
    endpoint_url=sys.argv[1],
    region_name="eu-west-3",
    aws_access_key_id=sys.argv[2],
    aws_secret_access_key=sys.argv[3],
)
try:
    storage.join_storage_session(channelArn=channel["ChannelARN"])
    joined = None
except ClientError as error:
    joined = error.response["Error"]
tags = client.list_tags_for_stream(StreamName="py")["Tags"]
hours = client.describe_stream(StreamName="py")["StreamInfo"]["DataRetentionInHours"]
endpoint = client.get_data_endpoint(StreamName="py", APIName="GET_MEDIA")["DataEndpoint"]
client.delete_stream(StreamARN=arn)
client.delete_signaling_channel(ChannelARN=channel["ChannelARN"])
try:
    client.describe_stream(StreamName="py")
    gone = None
except client.exceptions.ResourceNotFoundException as error:
    gone = error.response["ResponseMetadata"]["HTTPStatusCode"]
print(
    json.dumps(
        {
            "status": info["Status"],
            "refused": refused,
            "names": names,
            "ttl": channel["SingleMasterConfiguration"]["MessageTtlSeconds"],
            "format": images["ImageGenerationConfiguration"]["Format"],
            "ice": ice,
            "joined": joined,
            "tags": tags,
            "hours": hours,
            "endpoint": endpoint,
            "gone": gone,
        }
    )
)
