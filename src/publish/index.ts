export {
  detectionRecordSchema,
  toDetectionRecords,
  type DetectionRecord,
  type ModelIdentity,
} from './detection-record.ts'
export { publishDetections } from './publish-detections.ts'
