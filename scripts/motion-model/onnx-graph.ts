import protobuf from 'protobufjs'

// The part of ONNX's onnx.proto (ONNX IR version 8) that a graph of float operators needs. Field
// numbers are the standard's; names are ours to choose but are kept.
const SCHEMA = `
syntax = "proto2";
message AttributeProto {
  optional string name = 1;
  optional float f = 2;
  optional int64 i = 3;
  optional bytes s = 4;
  repeated float floats = 7 [packed = false];
  repeated int64 ints = 8 [packed = false];
  optional int32 type = 20;
}
message NodeProto {
  repeated string input = 1;
  repeated string output = 2;
  optional string name = 3;
  optional string op_type = 4;
  repeated AttributeProto attribute = 5;
}
message TensorProto {
  repeated int64 dims = 1 [packed = false];
  optional int32 data_type = 2;
  optional string name = 8;
  optional bytes raw_data = 9;
}
message Dimension { optional int64 dim_value = 1; }
message TensorShapeProto { repeated Dimension dim = 1; }
message TensorTypeProto { optional int32 elem_type = 1; optional TensorShapeProto shape = 2; }
message TypeProto { optional TensorTypeProto tensor_type = 1; }
message ValueInfoProto { optional string name = 1; optional TypeProto type = 2; }
message GraphProto {
  repeated NodeProto node = 1;
  optional string name = 2;
  repeated TensorProto initializer = 5;
  optional string doc_string = 10;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto { optional string domain = 1; optional int64 version = 2; }
message ModelProto {
  optional int64 ir_version = 1;
  optional string producer_name = 2;
  optional GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
}
`

const IR_VERSION = 8
const OPSET = 17
const FLOAT = 1
const INT64 = 7
const ATTRIBUTE_TYPE = { f: 1, i: 2, s: 3, floats: 6, ints: 7 }

type AttributeValue =
  | { readonly f: number }
  | { readonly i: number }
  | { readonly s: string }
  | { readonly ints: readonly number[] }

/** A value in the graph, by its name. */
export type Value = string & { readonly __brand: 'OnnxValue' }

/**
 * Builds an ONNX graph operator by operator and writes it as a model file. Deterministic: names are
 * counted, and nothing of the time or the machine goes in.
 */
export class OnnxGraph {
  readonly #nodes: object[] = []
  readonly #initializers: object[] = []
  readonly #inputs: object[] = []
  readonly #outputs: object[] = []
  readonly #scalars = new Map<number, Value>()
  #count = 0

  input(name: string, dims: readonly number[]): Value {
    this.#inputs.push(floatValue(name, dims))
    return name as Value
  }

  /** Names `value` as an output of the graph. */
  output(name: string, value: Value, dims: readonly number[]): void {
    this.#nodes.push({ input: [value], output: [name], name, opType: 'Identity' })
    this.#outputs.push(floatValue(name, dims))
  }

  /** A constant of one number, shared by all who ask for the same. */
  scalar(value: number): Value {
    const known = this.#scalars.get(value)
    if (known !== undefined) return known
    const made = this.floats([value], [])
    this.#scalars.set(value, made)
    return made
  }

  floats(values: readonly number[], dims: readonly number[]): Value {
    return this.#initializer(FLOAT, dims, Buffer.from(Float32Array.from(values).buffer))
  }

  integers(values: readonly number[]): Value {
    const words = BigInt64Array.from(values, (value) => BigInt(value))
    return this.#initializer(INT64, [values.length], Buffer.from(words.buffer))
  }

  /** Adds one operator of the default domain; an empty string leaves an optional input out. */
  op(
    opType: string,
    inputs: readonly (Value | number | '')[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): Value {
    const output = `${opType.toLowerCase()}_${this.#count++}` as Value
    this.#nodes.push({
      input: inputs.map((input) => (typeof input === 'number' ? this.scalar(input) : input)),
      output: [output],
      name: output,
      opType,
      attribute: Object.entries(attributes).map(([name, value]) => toAttribute(name, value)),
    })
    return output
  }

  toBytes(name: string, description: string): Uint8Array {
    const type = protobuf.parse(SCHEMA).root.lookupType('ModelProto')
    const model = type.create({
      irVersion: IR_VERSION,
      producerName: 'kinora',
      graph: {
        node: this.#nodes,
        name,
        docString: description,
        initializer: this.#initializers,
        input: this.#inputs,
        output: this.#outputs,
      },
      opsetImport: [{ domain: '', version: OPSET }],
    })
    return type.encode(model).finish()
  }

  #initializer(dataType: number, dims: readonly number[], rawData: Buffer): Value {
    const name = `const_${this.#initializers.length}` as Value
    this.#initializers.push({ dims, dataType, name, rawData })
    return name
  }
}

function toAttribute(name: string, value: AttributeValue): object {
  if ('f' in value) return { name, f: value.f, type: ATTRIBUTE_TYPE.f }
  if ('i' in value) return { name, i: value.i, type: ATTRIBUTE_TYPE.i }
  if ('s' in value) return { name, s: Buffer.from(value.s), type: ATTRIBUTE_TYPE.s }
  return { name, ints: value.ints, type: ATTRIBUTE_TYPE.ints }
}

function floatValue(name: string, dims: readonly number[]): object {
  const dim = dims.map((dimValue) => ({ dimValue }))
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } }
}
