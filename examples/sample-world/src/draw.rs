//! A frame: the backdrop in the light of the moment, people in front of it or behind what stands
//! there, their shadows, and how much of each can be seen.

use crate::backdrop::{Backdrop, PixelRect, SAMPLES, ball_hull_rect, sample_ray};
use crate::body::{Body, Part, Pose};
use crate::camera::View;
use crate::light::Moment;
use crate::random::hash3;
use crate::scenery::Scenery;
use glam::{Vec2, Vec3};

/// What the drawing knows of a person afterwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Seen {
    /// The whole silhouette, hidden parts too: left, top, right, bottom in pixels, uncut.
    pub(crate) silhouette: [f32; 4],
    /// Samples of the silhouette that reach the picture, over all samples of it.
    pub(crate) visible_share: f32,
}

/// Draws frames of one scene; keeps its buffers from frame to frame.
#[derive(Debug, Clone)]
pub(crate) struct Painter {
    view: View,
    /// Nearest depth and its owner per sample; reset from the backdrop for each frame.
    depth: Vec<f32>,
    owner: Vec<u32>,
    people: Vec<Person>,
    /// Linear picture of the frame in progress.
    linear: Vec<Vec3>,
    /// Sun and sky that people's shadows leave, per pixel.
    sun_left: Vec<f32>,
    sky_left: Vec<f32>,
    cover: Vec<bool>,
}

#[derive(Debug, Clone, Default)]
struct Person {
    parts: Vec<Part>,
    /// Whether the sun reaches the middle of each part past still things.
    lit: Vec<bool>,
    rects: Vec<Option<PixelRect>>,
    root: Vec2,
    toward: Vec2,
    salt: u32,
    samples: u32,
}

const NO_OWNER: u32 = u32::MAX;

impl Painter {
    pub(crate) fn new(scenery: &Scenery, backdrop: &Backdrop) -> Self {
        let pixels = backdrop.width * backdrop.height;
        Self {
            view: scenery.view(),
            depth: Vec::new(),
            owner: vec![NO_OWNER; backdrop.depth.len()],
            people: Vec::new(),
            linear: vec![Vec3::ZERO; pixels],
            sun_left: vec![1.0; pixels],
            sky_left: vec![1.0; pixels],
            cover: Vec::new(),
        }
    }

    /// Draws `people` into the linear picture, which it returns with what can be seen of each.
    pub(crate) fn draw<'b>(
        &mut self,
        scenery: &Scenery,
        backdrop: &Backdrop,
        moment: Moment,
        people: impl Iterator<Item = (&'b Body, Pose, u32)>,
    ) -> (&[Vec3], Vec<Option<Seen>>) {
        let count = self.stand(scenery, people);
        self.depth.clear();
        self.depth.extend_from_slice(&backdrop.depth);
        self.owner.fill(NO_OWNER);
        self.sun_left.fill(1.0);
        self.sky_left.fill(1.0);
        let frame = PixelRect {
            x0: 0,
            y0: 0,
            x1: backdrop.width as i32,
            y1: backdrop.height as i32,
        };
        let silhouettes: Vec<_> = (0..count).map(|i| self.place(i, frame)).collect();
        for index in 0..count {
            self.cast_shadow(scenery, backdrop, index, frame);
        }
        self.light_backdrop(backdrop, moment);
        let mut visible = vec![0u32; count];
        self.shade_people(scenery, backdrop, moment, &mut visible);
        let seen = silhouettes
            .into_iter()
            .zip(&self.people)
            .zip(visible)
            .map(|((silhouette, person), visible)| {
                silhouette.map(|silhouette| Seen {
                    silhouette,
                    visible_share: visible as f32 / person.samples.max(1) as f32,
                })
            })
            .collect();
        (&self.linear, seen)
    }

    fn stand<'b>(&mut self, scenery: &Scenery, people: impl Iterator<Item = (&'b Body, Pose, u32)>) -> usize {
        let mut count = 0;
        for (body, pose, salt) in people {
            if self.people.len() == count {
                self.people.push(Person::default());
            }
            let person = &mut self.people[count];
            body.pose(&pose, &mut person.parts);
            person.lit.clear();
            person.lit.extend(
                person
                    .parts
                    .iter()
                    .map(|part| scenery.sunlit(part.solid.bounds().0)),
            );
            person.root = pose.root;
            person.toward = Vec2::new(libm::cosf(pose.heading), libm::sinf(pose.heading));
            person.salt = salt;
            count += 1;
        }
        self.people.truncate(count);
        count
    }

    /// Puts a person into the depth buffer and measures the silhouette, hidden or not.
    fn place(&mut self, index: usize, frame: PixelRect) -> Option<[f32; 4]> {
        let row = frame.x1 as usize * SAMPLES;
        let view = self.view;
        // The silhouette counts beyond the edges too, up to one picture away.
        let (w, h) = (frame.x1, frame.y1);
        let around = PixelRect {
            x0: -w,
            y0: -h,
            x1: 2 * w,
            y1: 2 * h,
        };
        let person = &mut self.people[index];
        person.rects.clear();
        person.rects.extend(
            person
                .parts
                .iter()
                .map(|part| ball_hull_rect(&view, part.solid.ends(), around)),
        );
        person.samples = 0;
        let whole = person.rects.iter().flatten().copied().reduce(|a, b| PixelRect {
            x0: a.x0.min(b.x0),
            y0: a.y0.min(b.y0),
            x1: a.x1.max(b.x1),
            y1: a.y1.max(b.y1),
        })?;
        let s = SAMPLES as i32;
        let cover_row = ((whole.x1 - whole.x0) * s) as usize;
        self.cover.clear();
        self.cover
            .resize(cover_row * ((whole.y1 - whole.y0) * s) as usize, false);
        let mut extent = [i32::MAX, i32::MAX, i32::MIN, i32::MIN];
        for (number, (part, rect)) in person.parts.iter().zip(&person.rects).enumerate() {
            let Some(rect) = rect else { continue };
            for sy in rect.y0 * s..rect.y1 * s {
                for sx in rect.x0 * s..rect.x1 * s {
                    let Some(hit) = part.solid.meet(view.position, sample_ray(&view, sx, sy)) else {
                        continue;
                    };
                    let covered = &mut self.cover
                        [(sy - whole.y0 * s) as usize * cover_row + (sx - whole.x0 * s) as usize];
                    if !*covered {
                        *covered = true;
                        person.samples += 1;
                        extent = [
                            extent[0].min(sx),
                            extent[1].min(sy),
                            extent[2].max(sx + 1),
                            extent[3].max(sy + 1),
                        ];
                    }
                    if sx < 0 || sy < 0 || sx >= frame.x1 * s || sy >= frame.y1 * s {
                        continue;
                    }
                    let at = sy as usize * row + sx as usize;
                    if hit.t < self.depth[at] {
                        self.depth[at] = hit.t;
                        self.owner[at] = (index as u32) << 8 | number as u32;
                    }
                }
            }
        }
        (person.samples > 0).then(|| extent.map(|edge| edge as f32 / SAMPLES as f32))
    }

    /// Takes the sun away where a person stands before it, and some sky around the feet.
    fn cast_shadow(&mut self, scenery: &Scenery, backdrop: &Backdrop, index: usize, frame: PixelRect) {
        let view = self.view;
        let person = &self.people[index];
        let to_sun = scenery.light.to_sun;
        // Where the shadow can fall: from the feet to the shadow of the head, and around the body.
        let reach = 2.1 / to_sun.z.max(0.2);
        let tip = person.root - to_sun.truncate() * reach;
        let corners = [person.root, tip].into_iter().flat_map(|center| {
            [(-0.8, -0.8), (0.8, -0.8), (-0.8, 0.8), (0.8, 0.8)]
                .map(|(x, y)| (center + Vec2::new(x, y)).extend(0.0))
        });
        let points: Vec<Vec2> = corners.filter_map(|c| view.project(c)).map(|(p, _)| p).collect();
        let Some(mut rect) = PixelRect::around(points.into_iter(), frame) else {
            return;
        };
        // What stands in the shadow's way is higher in the picture than the ground there.
        rect.y0 = (rect.y0 - (rect.y1 - rect.y0) / 2).max(0);
        let row = backdrop.width * SAMPLES;
        for y in rect.y0..rect.y1 {
            for x in rect.x0..rect.x1 {
                let at = y as usize * backdrop.width + x as usize;
                let depth = backdrop.depth[y as usize * SAMPLES * row + x as usize * SAMPLES];
                let point = view.position + view.ray(x as f32 + 0.5, y as f32 + 0.5) * depth;
                let from_root = point.truncate().distance(person.root);
                if from_root < 0.55 && point.z < 0.5 {
                    let shade = 1.0 - from_root / 0.55;
                    self.sky_left[at] *= 1.0 - 0.45 * shade * shade;
                }
                if self.sun_left[at] < 0.5 || backdrop.sun[at] == Vec3::ZERO {
                    continue;
                }
                let from = point - to_sun * 0.02;
                let blocked = person.parts.iter().any(|part| {
                    let (center, radius) = part.solid.bounds();
                    let to_center = center - from;
                    let along = to_center.dot(to_sun);
                    along > 0.0
                        && to_center.length_squared() - along * along < radius * radius
                        && part.solid.meet(from, to_sun).is_some()
                });
                if blocked {
                    self.sun_left[at] = 0.04;
                }
            }
        }
    }

    fn light_backdrop(&mut self, backdrop: &Backdrop, moment: Moment) {
        let width = backdrop.width;
        for (at, out) in self.linear.iter_mut().enumerate() {
            // The sun is a disc: the edge of a shadow is soft over its neighbours.
            let mut sun_left = self.sun_left[at];
            if at > width && at + width + 1 < self.sun_left.len() {
                let s = &self.sun_left;
                sun_left = (2.0 * s[at] + s[at - 1] + s[at + 1] + s[at - width] + s[at + width]) / 6.0;
            }
            *out = backdrop.ambient[at] * (moment.sky * self.sky_left[at])
                + backdrop.sun[at] * (moment.sun * sun_left);
        }
    }

    fn shade_people(&mut self, scenery: &Scenery, backdrop: &Backdrop, moment: Moment, visible: &mut [u32]) {
        let row = backdrop.width * SAMPLES;
        for y in 0..backdrop.height {
            let top = y * SAMPLES * row;
            if self.owner[top..top + SAMPLES * row]
                .iter()
                .all(|&owner| owner == NO_OWNER)
            {
                continue;
            }
            for x in 0..backdrop.width {
                let (mut sum, mut covered) = (Vec3::ZERO, 0);
                for sub in 0..SAMPLES * SAMPLES {
                    let (sx, sy) = (x * SAMPLES + sub % SAMPLES, y * SAMPLES + sub / SAMPLES);
                    let owner = self.owner[sy * row + sx];
                    if owner == NO_OWNER {
                        continue;
                    }
                    let (index, number) = ((owner >> 8) as usize, (owner & 0xFF) as usize);
                    visible[index] += 1;
                    covered += 1;
                    let person = &self.people[index];
                    let ray = sample_ray(&self.view, sx as i32, sy as i32);
                    sum += shade_body(scenery, person, number, self.view.position, ray, moment);
                }
                if covered > 0 {
                    let all = (SAMPLES * SAMPLES) as f32;
                    let out = &mut self.linear[y * backdrop.width + x];
                    *out = *out * ((all - covered as f32) / all) + sum / all;
                }
            }
        }
    }
}

fn shade_body(
    scenery: &Scenery,
    person: &Person,
    number: usize,
    origin: Vec3,
    ray: Vec3,
    moment: Moment,
) -> Vec3 {
    let part = &person.parts[number];
    let Some(hit) = part.solid.meet(origin, ray) else {
        return Vec3::ZERO;
    };
    let point = origin + ray * hit.t;
    let d = point - person.root.extend(0.0);
    let own = Vec3::new(
        d.x * person.toward.x + d.y * person.toward.y,
        -d.x * person.toward.y + d.y * person.toward.x,
        d.z,
    );
    let albedo = part.paint.at(own, hash3(person.salt, number as u32, 5));
    // Limbs take sky from each other, most below the hips.
    let open = 0.72 + 0.28 * (point.z / 1.4).min(1.0);
    let ambient = scenery.light.ambient(hit.normal) * (moment.sky * open);
    let mut direct = scenery.light.direct(hit.normal) * moment.sun;
    if direct != Vec3::ZERO
        && (!person.lit[number] || shaded_by_itself(person, number, point, scenery.light.to_sun))
    {
        direct = Vec3::ZERO;
    }
    albedo * (ambient + direct)
}

fn shaded_by_itself(person: &Person, number: usize, point: Vec3, to_sun: Vec3) -> bool {
    person.parts.iter().enumerate().any(|(other, part)| {
        if other == number {
            return false;
        }
        let (center, radius) = part.solid.bounds();
        let to_center = center - point;
        let along = to_center.dot(to_sun);
        // Joints overlap: only what stands clear of the point casts a shadow on it.
        along > 0.1
            && to_center.length_squared() - along * along < radius * radius
            && part.solid.meet(point, to_sun).is_some_and(|hit| hit.t > 0.03)
    })
}
