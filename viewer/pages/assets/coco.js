// A result as a COCO file: one image, its annotations, and the categories of the model.

/**
 * @param {any} frame what `/api/frames/{id}` says, with its result
 * @param {string} fileName
 * @param {{ name: string }[]} labels the model's, in the order of their numbers; may be empty
 */
export function cocoFile({ id, submitted_at, result }, fileName, labels) {
  const image = { id: 1, width: result.width, height: result.height, file_name: fileName, date_captured: result.captured_at }
  const annotations = result.instances.map((/** @type {any} */ instance, /** @type {number} */ index) => ({
    id: index + 1,
    image_id: image.id,
    category_id: instance.category_id,
    bbox: instance.bbox,
    area: instance.area,
    ...(instance.segmentation && { segmentation: instance.segmentation }),
    iscrowd: 0,
    score: instance.score,
  }))
  return {
    info: {
      description: `Kadr: frame ${id} by model ${result.model.name} version ${result.model.version}`,
      version: '1.0',
      date_created: submitted_at,
    },
    licenses: [],
    images: [image],
    annotations,
    categories: categoriesOf(result.instances, labels),
  }
}

/**
 * The model's categories with their numbers; those of the instances alone where its labels are unknown.
 *
 * @param {{ label: string, category_id: number }[]} instances
 * @param {{ name: string }[]} labels
 */
function categoriesOf(instances, labels) {
  /** @type {Map<number, string>} */
  const names = new Map()
  // Labels are numbered without gaps; where the count begins is seen from any instance.
  const known = instances.find(({ label }) => labels.some(({ name }) => name === label))
  const first = known ? known.category_id - labels.findIndex(({ name }) => name === known.label) : 1
  labels.forEach(({ name }, index) => names.set(first + index, name))
  for (const { category_id, label } of instances) names.set(category_id, label)
  return [...names].sort(([a], [b]) => a - b).map(([id, name]) => ({ id, name, supercategory: '' }))
}
