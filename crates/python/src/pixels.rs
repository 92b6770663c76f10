//! Slots as numpy arrays, whose memory is taken back when the claim ends.
//!
//! An array can't be made to forget its address, and a loop variable keeps the last array alive
//! while the next frame is claimed. So each array is made on a view of its own. If anybody still
//! holds the array when the claim ends, the view is revoked before: what is left of the array
//! shows zeroes from then on, whoever holds it, and writing to it changes nothing.

#![expect(unsafe_code, reason = "a view becomes a numpy array here")]
// UNSAFETY: Arrays keep the `Pixels` they are made on as their base, so that the addresses stay
// mapped for as long as anybody can use them.

use std::ffi::c_int;
use std::ptr;

use framelane_frame::{Geometry, PixelFormat};
use framelane_ring::{Ring, RingError, View};
use numpy::npyffi::{NPY_ARRAY_CARRAY, NPY_ARRAY_CARRAY_RO, PY_ARRAY_API, npy_intp};
use numpy::{Element, PyArrayDescrMethods, PyUntypedArray};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyType;

use crate::error::raise;

/// The memory of one array: the base object that numpy keeps alive.
#[pyclass(frozen, module = "framelane._native")]
pub(crate) struct Pixels {
    view: View,
}

/// The views of a ring's slots, of which one is lent out as an array at a time.
#[derive(Default)]
pub(crate) struct Views {
    slots: Vec<Option<Py<Pixels>>>,
    lent: Option<(usize, Py<Pixels>)>,
}

impl Views {
    /// Makes an array of a slot that is granted, of a class that derives from numpy's. An array
    /// that was made before ends.
    pub(crate) fn lend<'py>(
        &mut self,
        kind: &Bound<'py, PyType>,
        ring: &Ring,
        slot: u32,
        shape: &[usize],
        writable: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.take_back().map_err(raise)?;
        let (py, index) = (kind.py(), slot as usize);
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        let pixels = match self.slots[index].take() {
            Some(pixels) => pixels,
            None => {
                let view = ring.payload_view(slot).map_err(raise)?;
                Py::new(py, Pixels { view })?
            }
        };
        let flags = if writable { NPY_ARRAY_CARRAY } else { NPY_ARRAY_CARRAY_RO };
        // SAFETY: the view is as long as the ring's payload capacity, which no granted frame
        // exceeds.
        let array = unsafe { array_on(kind, &pixels, shape, flags) }?;
        self.lent = Some((index, pixels));
        Ok(array)
    }

    /// Takes the array's memory back. Comes before the grant ends: afterwards the slot is somebody
    /// else's.
    pub(crate) fn take_back(&mut self) -> Result<(), RingError> {
        let Some((slot, pixels)) = &self.lent else { return Ok(()) };
        // Every array, tensor and buffer on this memory holds it: without any, there is nobody to
        // take it from.
        let (slot, held) = (*slot, Python::try_attach(|_| !is_only(pixels)).unwrap_or(true));
        // What can't be revoked stays lent.
        let revoked = if held { Some(pixels.get().view.revoke()?) } else { None };
        let lent = self.lent.take().map(|(_, pixels)| pixels);
        self.slots[slot] = match revoked {
            Some(view) => Python::try_attach(|py| Py::new(py, Pixels { view }).ok()).flatten(),
            None => lent,
        };
        Ok(())
    }
}

/// Whether nobody else has a reference to the object. To be called while attached.
fn is_only(pixels: &Py<Pixels>) -> bool {
    // SAFETY: the object lives, and while this thread is attached nobody changes its count.
    unsafe { pyo3::ffi::Py_REFCNT(pixels.as_ptr()) == 1 }
}

/// Makes an array on a view's memory, which the array keeps.
///
/// # Safety
/// The view is as long as the shape says.
unsafe fn array_on<'py>(
    kind: &Bound<'py, PyType>,
    pixels: &Py<Pixels>,
    shape: &[usize],
    flags: c_int,
) -> PyResult<Bound<'py, PyAny>> {
    let py = kind.py();
    if !kind.is_subclass(&PyUntypedArray::type_object(py))? {
        return Err(PyTypeError::new_err(format!("{kind} is no numpy.ndarray")));
    }
    let mut sides: Vec<npy_intp> = shape.iter().map(|side| side.cast_signed()).collect();
    let count = c_int::try_from(sides.len())?;
    let data = pixels.get().view.start().as_ptr().cast();
    // SAFETY: the class derives from numpy's, and the array gets the memory's owner as its base
    // before anybody uses it. numpy takes the references to the type of the elements and to the base.
    unsafe {
        let (kind, of) = (kind.as_type_ptr(), u8::get_dtype(py).into_dtype_ptr());
        let (sides, contiguous, parent) = (sides.as_mut_ptr(), ptr::null_mut(), ptr::null_mut());
        let array = PY_ARRAY_API
            .PyArray_NewFromDescr(py, kind, of, count, sides, contiguous, data, flags, parent);
        let array = Bound::from_owned_ptr_or_err(py, array)?;
        let base = pixels.clone_ref(py).into_ptr();
        if PY_ARRAY_API.PyArray_SetBaseObject(py, array.as_ptr().cast(), base) < 0 {
            return Err(PyErr::fetch(py));
        }
        Ok(array)
    }
}

/// The shape of a frame as an array: height, width and channels for packed colours; one and a half
/// times the height for 4:2:0, as OpenCV has it; flat where that can't be.
pub(crate) fn shape_of(geometry: Option<&Geometry>, payload_bytes: usize) -> Vec<usize> {
    let Some(geometry) = geometry else { return vec![payload_bytes] };
    let (width, height) = (geometry.width() as usize, geometry.height() as usize);
    match geometry.format() {
        PixelFormat::Rgb24 | PixelFormat::Bgr24 => vec![height, width, 3],
        PixelFormat::Gray => vec![height, width],
        _ if width.is_multiple_of(2) && height.is_multiple_of(2) => vec![height / 2 * 3, width],
        _ => vec![payload_bytes],
    }
}
