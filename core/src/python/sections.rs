//! Rules for Python's compiler: `Sections` does what `PythonSections` does in Python (`sections.py`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PySet, PyString, PyTuple};

use crate::compiler::builder::Limits;
use crate::compiler::rules::{Entity, Profile, Rules};
use crate::compiler::seal::{layout, seal};
use crate::compiler::secrets::Secrets;
use crate::compiler::tables::{Permission, User};

/// Entities after which other threads of Python have a turn.
const A_TURN: usize = 64;
const PROGRESS_STEP: usize = 1000;
/// Patterns of a profile that is built without Python's lock.
const MANY: usize = 256;
/// Seconds of a profile that costs have to know of.
const LONG: f64 = 0.001;

/// What an entity has under a name, which is made for Python once.
macro_rules! get {
    ($entity:expr, $name:literal) => {{
        let entity = &$entity;
        entity.getattr(intern!(entity.py(), $name))?
    }};
}

type Texts<'py> = Vec<Bound<'py, PyString>>;

/// Grows the sections of one tenant.
#[pyclass(frozen)]
pub struct Sections {
    rules: Mutex<Rules>,
    /// From a character's code to its symbol.
    symbols: Vec<u8>,
}

#[pymethods]
impl Sections {
    #[new]
    #[pyo3(signature = (symbols, *, gaps, rows, leaf, tenant, secret))]
    fn new(symbols: Vec<u8>, gaps: bool, rows: usize, leaf: usize, tenant: &str, secret: Option<&[u8]>) -> Self {
        let rules = Rules::new(gaps, Limits { rows, leaf }, Secrets::new(tenant, secret));
        Self { rules: Mutex::new(rules), symbols }
    }

    /// The number of symbols.
    #[getter]
    fn width(&self) -> usize {
        self.rules().builder.width
    }

    /// Bytes of the tables that grow with every change.
    fn size(&self) -> usize {
        self.rules().size()
    }

    /// Bytes of the wide records.
    fn wide_size(&self) -> usize {
        self.rules().builder.wide.len()
    }

    /// The number of tokens from a position to the end of its pattern.
    fn rest(&self, place: u32) -> PyResult<u32> {
        let rules = self.rules();
        if place as usize >= rules.builder.programs.len() {
            return Err(nothing());
        }
        Ok(rules.builder.rest(place))
    }

    /// The id of a slot's permission, and the first positions of its patterns.
    fn slot(&self, index: u32) -> PyResult<(u64, Vec<u32>)> {
        let rules = self.rules();
        let slot = rules.slot(index).ok_or_else(nothing)?;
        Ok((slot.permission, slot.patterns.to_vec()))
    }

    /// The root of a profile, given by the slots of each stage; `hard`: no rows are tried.
    #[pyo3(signature = (slots, *, hard=false))]
    #[allow(clippy::needless_pass_by_value, reason = "it is made for this call")]
    fn profile(&self, py: Python<'_>, slots: Profile, hard: bool) -> PyResult<u32> {
        let patterns = self.rules().patterns(&slots).ok_or_else(nothing)?;
        Ok(self.build(py, &slots, patterns, hard))
    }

    /// Takes over an edit's changes of groups and permissions, and writes the groups.
    ///
    /// `marked`: makes the further items of a pattern.
    fn take(&self, py: Python<'_>, edit: &Bound<'_, PyAny>, marked: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
        self.rules().begin();
        let groups = get!(edit, "groups");
        for group in get!(groups, "gone").try_iter()? {
            self.rules().remove_group(text(&string(get!(group?, "id"))?)?);
        }
        for group in get!(groups, "changed").try_iter()? {
            let group = group?;
            let users = texts(get!(group, "users"))?;
            let enabled = get!(group, "enabled").is_truthy()?;
            self.rules().replace_group(text(&string(get!(group, "id"))?)?, enabled, strs(&users)?);
        }
        let permissions = get!(edit, "permissions");
        for permission in get!(permissions, "gone").try_iter()? {
            self.rules().remove_permission(get!(permission?, "id").extract()?);
        }
        let patterns = get!(edit, "patterns").cast_into::<PyDict>()?;
        for (done, permission) in get!(permissions, "changed").try_iter()?.enumerate() {
            turn(py, done);
            self.take_permission(&permission?, &patterns, marked)?;
        }
        for group in get!(groups, "now").cast_into::<PyDict>()?.values() {
            self.rules().write_group(text(&string(get!(group, "id"))?)?, text(&string(get!(group, "name"))?)?);
        }
        Ok(())
    }

    /// The users and the outcalls that the edit touches, by id.
    fn touched<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PySet>, Bound<'py, PySet>)> {
        let rules = self.rules();
        let associations = &rules.associations;
        let users = associations.touched_users.iter().map(|&user| &**associations.users.id(user));
        let outcalls = associations.touched_outcalls.iter().map(|&outcall| &**associations.outcalls.id(outcall));
        Ok((PySet::new(py, users)?, PySet::new(py, outcalls)?))
    }

    /// Removes the users that are gone, and writes these.
    ///
    /// `costs`: as of `costs.py`; `progress`: called with the number of users that are done, and of all to be done.
    fn write_users(
        &self,
        py: Python<'_>,
        changes: &Bound<'_, PyAny>,
        users: &Bound<'_, PyList>,
        costs: &Bound<'_, PyAny>,
        progress: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        for user in get!(changes, "gone").try_iter()? {
            self.rules().remove_user(text(&string(get!(user?, "uuid"))?)?);
        }
        self.rules().tables.users.reserve(get!(changes, "now").len()?);
        let mut costs = Costs::new(costs)?;
        for (done, user) in users.iter().enumerate() {
            if done % PROGRESS_STEP == 0 {
                progress.call1((done, users.len()))?;
            }
            turn(py, done);
            self.write_user(py, &user, &mut costs)?;
        }
        progress.call1((users.len(), users.len()))?;
        Ok(())
    }

    /// Removes the outcalls that are gone, and writes these.
    fn write_outcalls(
        &self,
        py: Python<'_>,
        changes: &Bound<'_, PyAny>,
        outcalls: &Bound<'_, PyList>,
        costs: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        for outcall in get!(changes, "gone").try_iter()? {
            self.rules().tables.outcalls.remove(text(&string(get!(outcall?, "id"))?)?.as_bytes());
        }
        let mut costs = Costs::new(costs)?;
        for (done, outcall) in outcalls.iter().enumerate() {
            turn(py, done);
            let (id, name) = (string(get!(outcall, "id"))?, string(get!(outcall, "name"))?);
            let number = self.rules().associations.outcalls.number(text(&id)?);
            let profile = self.rules().profile_of_outcall(number);
            let root = self.root(py, &profile, &mut costs)?;
            self.rules().write_outcall(number, text(&id)?, text(&name)?, root);
        }
        Ok(())
    }

    /// The blob with these sections beside those of here, signed where there is a key.
    fn seal<'py>(&self, py: Python<'py>, meta: &[u8], dialling: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let (starts, size) = layout(&self.rules().sections(meta, &self.symbols, dialling));
        PyBytes::new_with(py, size, |to| {
            py.detach(|| {
                let rules = self.rules();
                let contents = rules.sections(meta, &self.symbols, dialling);
                seal(&contents, &starts, rules.tables.secrets.key(), to);
            });
            Ok(())
        })
    }
}

impl Sections {
    fn rules(&self) -> MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_permission(
        &self,
        permission: &Bound<'_, PyAny>,
        patterns: &Bound<'_, PyDict>,
        marked: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let extensions = texts(get!(permission, "extensions"))?;
        for one in &extensions {
            if !self.rules().tables.texts.contains_key(text(one)?) {
                let pattern = patterns.get_item(one)?.ok_or_else(nothing)?;
                self.know(one, &pattern, marked)?;
            }
        }
        let (name, mode) = (string(get!(permission, "name"))?, string(get!(permission, "mode"))?);
        let password: Option<Bound<'_, PyString>> = get!(permission, "password").extract()?;
        let users = texts(get!(permission, "users"))?;
        let groups = texts(get!(permission, "groups"))?;
        let outcalls = texts(get!(permission, "outcalls"))?;
        let row = Permission {
            id: get!(permission, "id").extract()?,
            name: text(&name)?,
            allows: text(&mode)? == "allow",
            password: password.as_ref().map(text).transpose()?,
            enabled: get!(permission, "enabled").is_truthy()?,
        };
        self.rules().replace_permission(&Entity {
            row,
            extensions: strs(&extensions)?,
            users: strs(&users)?,
            groups: strs(&groups)?,
            outcalls: strs(&outcalls)?,
        });
        Ok(())
    }

    /// Learns a pattern, and the further items of it.
    fn know(
        &self,
        one: &Bound<'_, PyString>,
        pattern: &Bound<'_, PyAny>,
        marked: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let tokens = get!(pattern, "tokens");
        let mut items: Vec<Vec<u32>> = vec![tokens.extract()?];
        if let Some(marked) = marked {
            items.extend(marked.call1((one, tokens))?.extract::<Vec<Vec<u32>>>()?);
        }
        let rules = &mut *self.rules();
        let places = items.iter().map(|tokens| rules.builder.pattern(tokens)).collect();
        rules.tables.know(text(one)?, places);
        Ok(())
    }

    fn write_user<'py>(&self, py: Python<'py>, user: &Bound<'py, PyAny>, costs: &mut Costs<'_, 'py>) -> PyResult<()> {
        let (uuid, name, extension) =
            (string(get!(user, "uuid"))?, string(get!(user, "name"))?, string(get!(user, "extension"))?);
        let password: Option<Bound<'_, PyString>> = get!(user, "call_permission_password").extract()?;
        let aliases = texts(get!(user, "aliases"))?;
        let user = User {
            uuid: text(&uuid)?,
            password: password.as_ref().map(text).transpose()?,
            name: text(&name)?,
            extension: text(&extension)?,
            aliases: strs(&aliases)?,
        };
        if !user.uuid.is_ascii() {
            return Err(PyValueError::new_err("the UUID of a user has other letters than a UUID has"));
        }
        let (number, profile) = {
            let mut rules = self.rules();
            let number = rules.associations.users.number(user.uuid);
            (number, rules.profile_of_user(number))
        };
        let root = self.root(py, &profile, costs)?;
        self.rules().write_user(number, &user, root);
        Ok(())
    }

    /// The root of a profile, within the limits of costs.
    fn root<'py>(&self, py: Python<'py>, profile: &Profile, costs: &mut Costs<'_, 'py>) -> PyResult<u32> {
        if let Some(root) = self.rules().root(profile) {
            return Ok(root);
        }
        let patterns = self.rules().patterns(profile).ok_or_else(nothing)?;
        let root = if costs.has_hard || patterns > costs.most {
            let root = costs.of.call_method1("build", (tuples(py, profile)?,))?.extract()?;
            costs.look()?;
            root
        } else {
            let wide = self.wide_size();
            let root = self.build(py, profile, patterns, false);
            costs.count(|| tuples(py, profile), wide, self.wide_size() != wide)?;
            root
        };
        self.rules().remember(profile, root);
        Ok(root)
    }

    fn build(&self, py: Python<'_>, profile: &Profile, patterns: usize, hard: bool) -> u32 {
        if patterns < MANY {
            self.rules().build(profile, hard)
        } else {
            py.detach(|| self.rules().build(profile, hard))
        }
    }
}

/// The costs of a tenant (`costs.py`), which Python is told of where they are more than usual.
struct Costs<'a, 'py> {
    of: &'a Bound<'py, PyAny>,
    thread_time: Bound<'py, PyAny>,
    /// Patterns of a profile that are too many.
    most: usize,
    /// Time of the thread from which on there is no time left, and now, in seconds.
    until: f64,
    now: f64,
    has_hard: bool,
}

impl<'a, 'py> Costs<'a, 'py> {
    fn new(of: &'a Bound<'py, PyAny>) -> PyResult<Self> {
        let thread_time = of.py().import("time")?.getattr("thread_time")?;
        let (most, until) = (get!(of, "most").extract()?, get!(of, "until").extract()?);
        let now = thread_time.call0()?.extract()?;
        let has_hard = get!(of, "has_hard").is_truthy()?;
        Ok(Self { of, thread_time, most, until, now, has_hard })
    }

    fn look(&mut self) -> PyResult<()> {
        self.has_hard = get!(self.of, "has_hard").is_truthy()?;
        self.now = self.thread_time.call0()?.extract()?;
        Ok(())
    }

    /// A profile was built, which took the time since the last one.
    fn count(&mut self, profile: impl Fn() -> PyResult<Bound<'py, PyTuple>>, wide: usize, grown: bool) -> PyResult<()> {
        let begun = self.now;
        self.now = self.thread_time.call0()?.extract()?;
        if grown || self.now - begun > LONG || self.now > self.until {
            self.of.call_method1("account", (profile()?, begun, wide))?;
            self.look()?;
        }
        Ok(())
    }
}

/// Lets other threads of Python have a turn, now and then.
fn turn(py: Python<'_>, done: usize) {
    if done % A_TURN == A_TURN - 1 {
        py.detach(|| ());
    }
}

fn string(found: Bound<'_, PyAny>) -> PyResult<Bound<'_, PyString>> {
    Ok(found.cast_into()?)
}

fn texts(found: Bound<'_, PyAny>) -> PyResult<Texts<'_>> {
    found.cast_into::<PyTuple>()?.iter().map(string).collect()
}

fn text<'a>(text: &'a Bound<'_, PyString>) -> PyResult<&'a str> {
    text.to_str()
}

fn strs<'a>(texts: &'a Texts<'_>) -> PyResult<Vec<&'a str>> {
    texts.iter().map(text).collect()
}

fn tuples<'py>(py: Python<'py>, profile: &Profile) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, profile.iter().map(|slots| PyTuple::new(py, slots)).collect::<PyResult<Vec<_>>>()?)
}

fn nothing() -> PyErr {
    PyIndexError::new_err("there is no such pattern or slot")
}
