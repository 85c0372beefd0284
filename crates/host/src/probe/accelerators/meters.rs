//! Where each driver shows what its device does, and what is read there at one moment.
//!
//! Sources: `Documentation/gpu/amdgpu/thermal.rst` and `driver-misc.rst`, `Documentation/ABI/testing/`
//! (`sysfs-driver-intel-i915-hwmon`, `sysfs-driver-intel-xe-hwmon`, `sysfs-class-devfreq`),
//! `drivers/gpu/drm/xe/xe_gt_freq.c`, `drivers/accel/ivpu/ivpu_sysfs.c`,
//! `drivers/gpu/drm/v3d/v3d_sysfs.c` of Linux 6.18; Rockchip's `devfreq` and `rknpu`, NVIDIA's
//! `nvgpu`, Google's `gasket`, Qualcomm's `kgsl` out of its tree.

use super::{Accelerator, AcceleratorKind, Place};
use crate::probe::hwmon::{self, SensorKind};
use crate::probe::{Absent, Reading, Reason, Tree, Unit};

/// Hertz that no clock of a device has: what drivers show for a sensor that is not there (all ones, in
/// megahertz or hertz) is above, those of today's fastest GPUs are below.
const MOST_HERTZ: u64 = 4_200_000_000;
/// Watts that no device of a machine takes, for the same reason; the largest takes some 1,400 W.
pub(super) const MOST_WATTS: f64 = 4_000.0;
/// Bytes that no device has or may take.
const MOST_BYTES: u64 = 1 << 48;

/// What a device's files say at one moment.
pub(super) struct Meters {
    pub(super) load: Load,
    pub(super) memory_used: Reading<u64>,
    pub(super) memory_total: Reading<u64>,
    pub(super) shared_used: Reading<u64>,
    pub(super) shared_total: Reading<u64>,
    pub(super) frequency: Reading<u64>,
    pub(super) frequency_max: Reading<u64>,
    pub(super) temperature: Reading<f64>,
    pub(super) power: Reading<f64>,
    pub(super) energy: Reading<f64>,
}

/// How busy a device is.
pub(super) enum Load {
    /// As the driver says.
    Told(Reading<f64>),
    /// By counters, of which the busiest counts.
    Counted(Vec<Counter>, String),
    /// By what its clients use of it.
    OfClients,
}

/// A counter of work.
pub(super) struct Counter {
    pub(super) name: String,
    /// Seconds of work.
    pub(super) busy: f64,
    /// Seconds on the clock that it goes by, if the driver tells; else that of the reader.
    pub(super) at: Option<f64>,
}

/// Files of one device.
struct Files<'a> {
    tree: &'a Tree,
    place: &'a Place,
    kind: AcceleratorKind,
    hwmon: Option<String>,
}

impl Meters {
    /// What the files of `accelerator` say.
    pub(super) fn read(tree: &Tree, accelerator: &Accelerator) -> Self {
        let place = &accelerator.place;
        let hwmon = place.device.as_ref().and_then(|device| {
            let folder = format!("{device}/hwmon");
            let name = tree.names(&folder).into_iter().find(|name| name.starts_with("hwmon"))?;
            Some(format!("{folder}/{name}"))
        });
        let files = Files { tree, place, kind: accelerator.kind, hwmon };
        let mut meters = files.common();
        match accelerator.driver.as_deref().unwrap_or_default() {
            "amdgpu" | "radeon" => {
                files.amdgpu(&mut meters);
                files.asleep(&mut meters);
            }
            "i915" => files.i915(&mut meters),
            "xe" => files.xe(&mut meters),
            "intel_vpu" => files.ivpu(&mut meters),
            "v3d" => files.v3d(&mut meters),
            "panthor" | "panfrost" => files.mali(&mut meters),
            "RKNPU" | "rknpu" => files.rknpu(&mut meters),
            "apex" => meters.temperature = files.celsius(&files.class("temp")),
            "kgsl" => files.kgsl(&mut meters),
            "nvidia" => meters.load = Load::Told(untold(Unit::Percent, "it is told by NVML")),
            "amdxdna" => {
                let detail = "amdxdna tells it by calls of its own";
                meters.load = Load::Told(untold(Unit::Percent, detail));
                meters.power = untold(Unit::Watts, detail);
            }
            "hailo" | "hailo1x" => {
                meters.load = Load::Told(untold(Unit::Percent, BY_HAILORT));
                meters.temperature = untold(Unit::Celsius, BY_HAILORT);
                meters.power = untold(Unit::Watts, BY_HAILORT);
            }
            _ => {}
        }
        meters.judge();
        meters
    }

    /// Takes what makes no sense for what it is: damaged.
    fn judge(&mut self) {
        for clock in [&mut self.frequency, &mut self.frequency_max] {
            limit(clock, |hertz| *hertz < MOST_HERTZ);
        }
        limit(&mut self.power, |watts| (0.0..MOST_WATTS).contains(watts));
        for (used, total) in [
            (&mut self.memory_used, &mut self.memory_total),
            (&mut self.shared_used, &mut self.shared_total),
        ] {
            limit(total, |bytes| (1..MOST_BYTES).contains(bytes));
            limit(used, |bytes| *bytes < MOST_BYTES);
            // Which of the two is wrong nobody knows, and a share of them would be nonsense.
            if let (Some(taken), Some(all)) = (used.get(), total.get())
                && taken > all
            {
                let detail = format!("`{taken}` B taken of `{all}` B cannot be");
                used.value = Err(Absent { reason: Reason::Damaged, detail });
            }
        }
    }
}

/// Turns a value that cannot be into its absence.
fn limit<T: std::fmt::Display>(reading: &mut Reading<T>, is_plausible: impl FnOnce(&T) -> bool) {
    if let Some(value) = reading.get().filter(|value| !is_plausible(value)) {
        let detail = format!("`{value}` {} cannot be", reading.unit.symbol());
        reading.value = Err(Absent { reason: Reason::Damaged, detail });
    }
}

impl Files<'_> {
    fn device(&self, file: &str) -> String {
        below(self.place.device.as_ref(), file)
    }

    fn card(&self, file: &str) -> String {
        below(self.place.card.as_ref(), file)
    }

    fn class(&self, file: &str) -> String {
        below(self.place.class.as_ref(), file)
    }

    /// What most devices have: `devfreq`, `hwmon`, and a thermal zone on a chip.
    fn common(&self) -> Meters {
        let unit = Unit::Bytes;
        let load = match &self.place.devfreq {
            Some(folder) => self.devfreq_load(folder),
            None if self.place.card.is_some() => Load::OfClients,
            None => Load::Told(untold(Unit::Percent, "the driver does not show it in files")),
        };
        let devfreq =
            |file| self.number(&[below(self.place.devfreq.as_ref(), file)], Unit::Hertz, 1);
        Meters {
            load,
            memory_used: untold(unit, "the driver does not show memory of its own"),
            memory_total: untold(unit, "the driver does not show memory of its own"),
            shared_used: untold(unit, "the driver does not show what it takes of the machine's"),
            shared_total: untold(unit, "the driver does not show what it takes of the machine's"),
            frequency: devfreq("cur_freq"),
            frequency_max: devfreq("max_freq"),
            temperature: self.temperature(),
            power: self.sensor(&["power1_average", "power1_input"], SensorKind::Power),
            energy: self.energy(),
        }
    }

    /// What a device that the kernel has put to sleep does; its driver then refuses to tell
    /// (`power/runtime_status`, Documentation/ABI/testing/sysfs-devices-power).
    fn asleep(&self, meters: &mut Meters) {
        let path = self.device("power/runtime_status");
        if self.tree.text(&path).get().map(|status| status.trim()) != Some("suspended") {
            return;
        }
        meters.load = Load::Told(Reading::new(0.0, Unit::Percent, &path));
        meters.frequency = Reading::new(0, Unit::Hertz, &path);
        meters.temperature = untold(Unit::Celsius, ASLEEP);
        meters.power = untold(Unit::Watts, ASLEEP);
    }

    fn amdgpu(&self, meters: &mut Meters) {
        let bytes = |file| self.number(&[self.device(file)], Unit::Bytes, 1);
        meters.load = Load::Told(percent(self.tree.text(self.device("gpu_busy_percent"))));
        meters.memory_used = bytes("mem_info_vram_used");
        meters.memory_total = bytes("mem_info_vram_total");
        meters.shared_used = bytes("mem_info_gtt_used");
        meters.shared_total = bytes("mem_info_gtt_total");
        meters.frequency = match &self.hwmon {
            Some(hwmon) => self.number(&[format!("{hwmon}/freq1_input")], Unit::Hertz, 1),
            None => untold(Unit::Hertz, NO_SENSORS),
        };
        // Lines such as `2: 2900Mhz *`, the highest last.
        let states = self.tree.text(self.device("pp_dpm_sclk"));
        meters.frequency_max = states.check(Unit::Hertz, |text| {
            let highest = text.lines().filter_map(|line| {
                let state = line.split_once(':')?.1.trim().trim_end_matches('*').trim();
                state.to_ascii_lowercase().strip_suffix("mhz")?.parse::<u64>().ok()
            });
            let highest = highest.max().ok_or("no line names a frequency")?;
            highest.checked_mul(1_000_000).ok_or("it is no frequency".to_owned())
        });
    }

    fn i915(&self, meters: &mut Meters) {
        let mhz = |files: &[&str]| {
            let paths: Vec<String> = files.iter().map(|file| self.card(file)).collect();
            self.number(&paths, Unit::Hertz, 1_000_000)
        };
        meters.frequency = mhz(&["gt/gt0/rps_act_freq_mhz", "gt_act_freq_mhz", "gt_cur_freq_mhz"]);
        meters.frequency_max =
            mhz(&["gt/gt0/rps_RP0_freq_mhz", "gt_RP0_freq_mhz", "gt_max_freq_mhz"]);
        let lmem = [self.card("lmem_total_bytes"), self.device("lmem_total_bytes")];
        meters.memory_total = self.number(&lmem, Unit::Bytes, 1);
    }

    fn xe(&self, meters: &mut Meters) {
        let mhz = |files: &[&str]| {
            let paths: Vec<String> =
                files.iter().map(|file| self.device(&format!("tile0/gt0/freq0/{file}"))).collect();
            self.number(&paths, Unit::Hertz, 1_000_000)
        };
        meters.frequency = mhz(&["act_freq", "cur_freq"]);
        meters.frequency_max = mhz(&["rp0_freq", "max_freq"]);
        let vram = [self.device("tile0/physical_vram_size_bytes")];
        meters.memory_total = self.number(&vram, Unit::Bytes, 1);
    }

    fn ivpu(&self, meters: &mut Meters) {
        let path = self.device("npu_busy_time_us");
        let busy = self.tree.number::<u64>(&path, Unit::Seconds);
        meters.load = match &busy.value {
            Ok(us) => {
                let counter = Counter { name: "npu".to_owned(), busy: *us as f64 / 1e6, at: None };
                Load::Counted(vec![counter], busy.source)
            }
            Err(_) => Load::Told(busy.check(Unit::Percent, |_| Err(String::new()))),
        };
        meters.shared_used = self.number(&[self.device("npu_memory_utilization")], Unit::Bytes, 1);
        let mhz = |file| self.number(&[self.device(file)], Unit::Hertz, 1_000_000);
        meters.frequency = mhz("npu_current_frequency_mhz");
        meters.frequency_max = mhz("npu_max_frequency_mhz");
    }

    /// A table: queue, nanoseconds on the clock, jobs, nanoseconds of work.
    fn v3d(&self, meters: &mut Meters) {
        let text = self.tree.text(self.device("gpu_stats"));
        let Some(table) = text.get() else { return };
        let counters = table.lines().skip(1).take(32).filter_map(|line| {
            let mut fields = line.split_whitespace();
            let name = fields.next()?.to_owned();
            let at = fields.next()?.parse::<u64>().ok()?;
            let busy = fields.nth(1)?.parse::<u64>().ok()?;
            Some(Counter { name, busy: busy as f64 / 1e9, at: Some(at as f64 / 1e9) })
        });
        meters.load = Load::Counted(counters.collect(), text.source);
    }

    /// Counting costs power, so that it is off unless it is asked for.
    fn mali(&self, meters: &mut Meters) {
        meters.load = Load::OfClients;
        let profiling = self.tree.text(self.device("profiling"));
        if profiling.get().is_some_and(|text| text == "0" || text == "0x0") {
            let detail = "the driver does not count unless root writes 1 to this file (panthor: 3)";
            meters.load = Load::Told(Reading::absent(
                Reason::Unsupported,
                detail,
                Unit::Percent,
                profiling.source,
            ));
        }
    }

    /// `NPU load:  Core0:  0%, Core1: 12%,`, for root; else what `devfreq` says.
    fn rknpu(&self, meters: &mut Meters) {
        let cores = self.tree.text("sys/kernel/debug/rknpu/load").check(Unit::Percent, |text| {
            let loads = text.split('%').filter_map(|part| {
                part.rsplit([' ', ':', '\t'])
                    .next()?
                    .parse::<u64>()
                    .ok()
                    .filter(|load| *load <= 100)
            });
            loads.max().map(|load| load as f64).ok_or("no core tells its load".to_owned())
        });
        let load = std::mem::replace(&mut meters.load, Load::OfClients);
        meters.load = match load {
            Load::Told(of_devfreq) => Load::Told(cores.or_else(|| of_devfreq)),
            _ => Load::Told(cores),
        };
    }

    fn kgsl(&self, meters: &mut Meters) {
        let text = self.tree.text(self.class("gpu_busy_percentage"));
        meters.load =
            Load::Told(percent(text.map(|text| text.trim_end_matches([' ', '%']).to_owned())));
        meters.frequency = self.number(&[self.class("gpuclk")], Unit::Hertz, 1);
        meters.frequency_max = self.number(&[self.class("max_gpuclk")], Unit::Hertz, 1);
    }

    /// Rockchip shows `NN@Hz` beside the frequency; NVIDIA a part of a thousand at the device.
    fn devfreq_load(&self, folder: &str) -> Load {
        let path = format!("{folder}/load");
        if self.tree.exists(&path) {
            return Load::Told(percent(
                self.tree
                    .text(path)
                    .map(|text| text.split('@').next().unwrap_or_default().to_owned()),
            ));
        }
        let path = format!("{folder}/device/load");
        if self.tree.exists(&path) {
            let load = self.tree.number::<u32>(path, Unit::Percent);
            return Load::Told(load.check(Unit::Percent, |load| match load {
                0..=1000 => Ok(f64::from(load) / 10.0),
                _ => Err(format!("{load} is no part of a thousand")),
            }));
        }
        match self.place.card {
            Some(_) => Load::OfClients,
            None => Load::Told(untold(Unit::Percent, "the driver does not show it in files")),
        }
    }

    /// The sensor of the die where it is named, else the first; on a chip, the zone of its kind.
    fn temperature(&self) -> Reading<f64> {
        if let Some(hwmon) = &self.hwmon {
            let names = self.tree.names(hwmon);
            let inputs: Vec<&str> = names
                .iter()
                .filter_map(|name| {
                    name.strip_suffix("_input").filter(|name| name.starts_with("temp"))
                })
                .collect();
            let label = |input: &&&str| {
                let label = self.tree.text(format!("{hwmon}/{input}_label"));
                label.get().is_some_and(|label| label == "edge" || label == "pkg")
            };
            if let Some(input) = inputs.iter().find(label).or(inputs.first()) {
                return self.celsius(&format!("{hwmon}/{input}_input"));
            }
        }
        let kind = match self.kind {
            AcceleratorKind::Gpu => "gpu",
            AcceleratorKind::Npu => "npu",
            AcceleratorKind::Tpu => "tpu",
        };
        let zones = "sys/class/thermal";
        let is_ours = |zone: &String| {
            let name = self.tree.text(format!("{zones}/{zone}/type"));
            name.get().is_some_and(|name| name.to_ascii_lowercase().contains(kind))
        };
        // Beside the zones are what cools them, by the names of devices.
        let mut names = self.tree.names(zones).into_iter();
        match names.find(|name| name.starts_with("thermal_zone") && is_ours(name)) {
            Some(zone) => self.celsius(&format!("{zones}/{zone}/temp")),
            None => untold(Unit::Celsius, "no sensor of it is shown"),
        }
    }

    /// The first counter that counts.
    fn energy(&self) -> Reading<f64> {
        let first = self.sensor(&["energy1_input"], SensorKind::Energy);
        if first.get().is_some_and(|joules| *joules > 0.0) {
            return first;
        }
        let second = self.sensor(&["energy2_input"], SensorKind::Energy);
        if second.get().is_some() { second } else { first }
    }

    /// The first of some files of `hwmon` that has a value; if none has, why the first that is there
    /// has none.
    fn sensor(&self, files: &[&str], kind: SensorKind) -> Reading<f64> {
        let unit = hwmon::unit(kind);
        let Some(hwmon) = &self.hwmon else { return untold(unit, NO_SENSORS) };
        let paths = files.iter().map(|file| format!("{hwmon}/{file}"));
        let there = paths.filter(|path| self.tree.exists(path));
        let told = there.map(|path| hwmon::value(self.tree, &path, kind));
        let best = told.reduce(|first, next| first.or_else(|| next));
        best.unwrap_or_else(|| untold(unit, "it has no such sensor"))
    }

    fn celsius(&self, path: &str) -> Reading<f64> {
        hwmon::value(self.tree, path, SensorKind::Temperature)
    }

    /// The number in the first of some files that there is, times `scale`.
    fn number(&self, paths: &[String], unit: Unit, scale: u64) -> Reading<u64> {
        let Some(path) = paths.iter().find(|path| !path.is_empty() && self.tree.exists(path))
        else {
            let source = paths.first().cloned().unwrap_or_default();
            let detail = "the driver does not show it";
            return Reading::absent(Reason::NotFound, detail, unit, source);
        };
        self.tree.number::<u64>(path, unit).check(unit, |value| {
            value.checked_mul(scale).ok_or_else(|| format!("{value} is too large"))
        })
    }
}

/// Why files say nothing of what a Hailo does.
pub(super) const BY_HAILORT: &str = "the driver passes it to Hailo's own library alone";
const NO_SENSORS: &str = "it has no sensors of its own";
const ASLEEP: &str = "it sleeps, and is not woken to be asked";

/// A file of a folder; empty without one.
fn below(folder: Option<&String>, file: &str) -> String {
    folder.map(|folder| format!("{folder}/{file}")).unwrap_or_default()
}

/// A part of a hundred.
fn percent(text: Reading<String>) -> Reading<f64> {
    text.check(Unit::Percent, |text| match text.trim().parse::<u32>() {
        Ok(percent @ 0..=100) => Ok(f64::from(percent)),
        _ => {
            Err(format!("`{}` is no part of a hundred", text.chars().take(32).collect::<String>()))
        }
    })
}

fn untold<T>(unit: Unit, detail: &str) -> Reading<T> {
    Reading::absent(Reason::Unsupported, detail, unit, "sys")
}
